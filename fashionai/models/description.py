"""A traced network with its parameters, as plain data: what MXNet hands to other frameworks.

Nothing here needs MXNet or PyTorch. A description can be stored in one file.
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, Optional

import numpy as np

from fashionai.errors import WeightsError
from fashionai.files import atomic_path
from fashionai.files.formats.json_files import parse_json

# The name of the input variable of a graph.
INPUT = "data"

# The names of arrays in a file: the JSON's bytes, and parameter/NAME for each parameter.
TEXT, PARAMETER = "description", "parameter/"
VERSION = 1

# Errors that reading a file raises when it is damaged or is another kind of file.
UNREADABLE = (
    OSError,
    EOFError,
    ValueError,
    KeyError,
    TypeError,
    IndexError,
    AttributeError,
    NotImplementedError,  # a compression that zipfile does not know
    RuntimeError,  # an encrypted member
    MemoryError,
    zipfile.BadZipFile,
)

# A node of a graph and the number of one of its outputs.
Entry = tuple[int, int]


class Features(NamedTuple):
    """The input of the output layer: ``(B, *shape) float32``, computed by ``entry``.

    All dimensions of ``shape`` but the first are 1.
    """

    entry: Entry
    shape: tuple[int, ...]


@dataclass(frozen=True)
class NetworkDescription:
    """A traced network with its parameters, from ``(B, 3, H, W) float32`` to logits ``(B, C)``.

    Attributes:
        nodes: The nodes of the symbol's JSON in topological order: ``op`` (``null`` for a
            variable), ``name``, ``attrs`` (texts) and ``inputs`` (lists that begin with
            node and output).
        logits: The node and output that compute the logits.
        variables: The name in parameter files by the name of a variable node.
        parameters: All parameters of the network as float32, by name in parameter files and in
            the order of parameter files.
        order: Names in parameter files in the order of Gluon's optimizer, which numbers its state
            by the position here.
        rates: The factor of the learning rate of each trained parameter, in ``order``.
        decays: The factor of the weight decay of each trained parameter, in ``order``.
        moving: The parameters that training changes: trained ones and running statistics of
            batch normalisation that are updated.
        output: The names of the output layer's parameters.
        features: The input of the output layer, if the layers before it are frozen and give
            one constant vector per image.
        not_constant: The reason why ``features`` is None, otherwise an empty text.
    """

    nodes: list[dict[str, Any]]
    logits: Entry
    variables: dict[str, str]
    parameters: dict[str, np.ndarray]
    order: tuple[str, ...]
    rates: dict[str, float]
    decays: dict[str, float]
    moving: tuple[str, ...]
    output: frozenset[str]
    features: Optional[Features]
    not_constant: str


def save_description(path: Path, description: NetworkDescription) -> None:
    """Write a description as one ``.npz`` file without pickle, atomically."""
    text = json.dumps(_to_json(description)).encode()
    arrays = {TEXT: np.frombuffer(text, np.uint8)}
    arrays.update({PARAMETER + name: each for name, each in description.parameters.items()})
    with atomic_path(path) as temporary, zipfile.ZipFile(temporary, "w") as archive:
        for name, values in arrays.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                np.lib.format.write_array(member, np.asarray(values), allow_pickle=False)


def load_description(path: Path) -> NetworkDescription:
    """Read a file of save_description. Raises WeightsError for any other or a damaged file."""
    try:
        with np.load(path, allow_pickle=False) as arrays:
            values = parse_json(arrays[TEXT].tobytes().decode())
            if values.pop("version") != VERSION:
                raise ValueError(f"it does not have version {VERSION}")
            names = values.pop("parameters")
            parameters = {name: _float32(arrays[PARAMETER + name]) for name in names}
        return _from_json(values, parameters)
    except FileNotFoundError:
        raise WeightsError(f"{path}: no such file") from None
    except UNREADABLE as error:
        raise WeightsError(
            f"{path}: not a description of a network, or damaged ({error})",
            "Write it again",
        ) from None


def _to_json(description: NetworkDescription) -> dict[str, Any]:
    values = {name: getattr(description, name) for name in description.__dataclass_fields__}
    return {
        **values,
        "version": VERSION,
        "parameters": list(description.parameters),
        "output": sorted(description.output),
    }


def _from_json(
    values: Mapping[str, Any], parameters: Mapping[str, np.ndarray]
) -> NetworkDescription:
    features = values["features"]
    if features is not None:
        entry, shape = features
        features = Features(_entry(entry), tuple(shape))
    return NetworkDescription(
        nodes=[_node(node) for node in values["nodes"]],
        logits=_entry(values["logits"]),
        variables=dict(values["variables"]),
        parameters=dict(parameters),
        order=tuple(values["order"]),
        rates=dict(values["rates"]),
        decays=dict(values["decays"]),
        moving=tuple(values["moving"]),
        output=frozenset(values["output"]),
        features=features,
        not_constant=str(values["not_constant"]),
    )


def _node(node: Mapping[str, Any]) -> dict[str, Any]:
    return {name: node[name] for name in ("op", "name", "attrs", "inputs")}


def _entry(values: Any) -> Entry:
    node, output = values
    return int(node), int(output)


def _float32(values: np.ndarray) -> np.ndarray:
    if values.dtype != np.float32:
        raise ValueError(f"found an array of {values.dtype}, expected float32")
    return values
