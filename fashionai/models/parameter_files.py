"""Files of a network's parameters, ``.params``, without any framework."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from pathlib import Path

import numpy as np

from fashionai.conversion.convert import list_names
from fashionai.errors import WeightsError
from fashionai.files.array_lists import DamagedArraysError, read_array_list

OTHER_NETWORK_HINT = "Is the file for another network?"


def read_parameters(file: Path) -> dict[str, np.ndarray]:
    """The arrays of a .params file by name. Raises WeightsError for any other file."""
    if not file.is_file():
        raise WeightsError(
            f"{file}: no such file",
            "model.pretrained is true, false or the path of a .params file",
        )
    try:
        weights = read_array_list(file)
    except DamagedArraysError as error:
        raise WeightsError(f"{file}: {error}") from None
    if not weights:
        raise WeightsError(f"{file}: contains arrays without names, expected named parameters")
    plain = {re.sub(r"^(arg|aux):", "", name): value for name, value in weights.items()}
    if len(plain) < len(weights):
        raise WeightsError(f"{file}: two arrays whose names differ only in the prefix arg: or aux:")
    return plain


def check_names(file: Path, found: Collection[str], expected: Collection[str]) -> None:
    """Raise WeightsError unless a file has these parameters and no others."""
    for problem, names in (
        ("parameters not found:", sorted(set(expected) - set(found))),
        ("unknown parameters:", sorted(set(found) - set(expected))),
    ):
        if names:
            raise WeightsError(f"{file}: {problem} {list_names(names)}", OTHER_NETWORK_HINT)


def check_fit(
    file: Path, found: Mapping[str, np.ndarray], expected: Mapping[str, tuple[int, ...]]
) -> None:
    """Raise WeightsError unless a file has these float32 parameters with these shapes."""
    check_names(file, found, expected)
    for name, values in found.items():
        if values.shape != expected[name]:
            raise WeightsError(
                f"{file}: {name} has shape {values.shape}, expected {expected[name]}",
                OTHER_NETWORK_HINT,
            )
        if values.dtype != np.float32:
            raise WeightsError(f"{file}: {name} is {values.dtype}, expected float32")
