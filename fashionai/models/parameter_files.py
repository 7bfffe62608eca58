"""Files of a network's parameters, ``.params``, without any framework."""

from __future__ import annotations

import logging
import re
from collections.abc import Collection, Mapping
from pathlib import Path

import numpy as np

from fashionai.conversion.positions import is_positions, resize_positions
from fashionai.errors import WeightsError, list_names
from fashionai.files.formats.array_lists import DamagedArraysError, read_array_list

log = logging.getLogger(__name__)

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


def with_positions(
    file: Path, found: Mapping[str, np.ndarray], expected: Mapping[str, tuple[int, ...]]
) -> dict[str, np.ndarray]:
    """The parameters of a file, with position embeddings interpolated to the expected shapes.

    Networks with position embeddings have one vector per patch: their number depends on the
    size of the images. Raises WeightsError for an embedding that cannot be interpolated.
    """
    fitted = dict(found)
    for name, values in found.items():
        shape = expected.get(name, values.shape)
        if is_positions(name) and values.ndim == len(shape) == 3 and values.shape != shape:
            try:
                fitted[name] = resize_positions(values, shape[1])
            except WeightsError as error:
                raise WeightsError(f"{file}: {name}: {error.message}", OTHER_NETWORK_HINT) from None
            log.info(
                "%s: interpolating the position embedding from %d to %d tokens",
                file,
                values.shape[1],
                shape[1],
            )
    return fitted


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
