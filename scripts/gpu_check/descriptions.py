"""Files of networks: what MXNet has described, for a machine that has none."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np

# The names of arrays in a file: the JSON's bytes, and parameter/NAME for each parameter.
TEXT, PARAMETER = "description", "parameter/"


def save_description(path: Path, description: Any) -> None:
    """Write a NetworkDescription as one ``.npz`` file without pickle."""
    fields = {
        each.name: getattr(description, each.name) for each in dataclasses.fields(description)
    }
    parameters = fields.pop("parameters")
    text = json.dumps({**fields, "output": sorted(fields["output"])}).encode()
    arrays = {PARAMETER + name: values for name, values in parameters.items()}
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(path, **{TEXT: np.frombuffer(text, np.uint8)}, **arrays)


def load_description(path: Path) -> Any:
    """Read a file of save_description."""
    from fashionai.models.description import Features, NetworkDescription

    with np.load(path, allow_pickle=False) as arrays:
        fields = json.loads(arrays[TEXT].tobytes())
        names = [name for name in arrays.files if name != TEXT]
        parameters = {name[len(PARAMETER) :]: arrays[name] for name in names}
    features = fields["features"]
    return NetworkDescription(
        **{
            **fields,
            "logits": tuple(fields["logits"]),
            "parameters": parameters,
            "order": tuple(fields["order"]),
            "moving": tuple(fields["moving"]),
            "output": frozenset(fields["output"]),
            "features": features and Features(tuple(features[0]), tuple(features[1])),
        }
    )
