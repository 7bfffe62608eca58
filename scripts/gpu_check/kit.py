"""A kit: the folder that is prepared on one machine and used on another, which has the GPU."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from gpu_check.descriptions import load_description, save_description
from gpu_check.plan import PLANS, Plan

VERSION = 2
CLASSES = tuple("abcdefgh")
TASK = "skirt_length_labels"
# Values of each parameter that are compared, at equal distances.
COMPARED = 64


class KitError(Exception):
    """A folder that is no kit, or that this check cannot use."""


@dataclass(frozen=True)
class Kit:
    """Where the files of a kit are."""

    folder: Path

    @property
    def facts_file(self) -> Path:
        """Version, name of the plan and results of MXNet; written last."""
        return self.folder / "kit.json"

    @property
    def demo(self) -> Path:
        """The prepared folders of the demo."""
        return self.folder / "demo"

    @property
    def photos(self) -> list[Path]:
        """The images of the measurements of speed."""
        return sorted((self.folder / "photos").glob("*.jpg"))

    @property
    def packages(self) -> Path:
        """Packages that a machine with PyTorch may lack."""
        return self.folder / "packages"

    def network(self, name: str) -> Path:
        """The description of a network."""
        return self.folder / "networks" / f"{name}.npz"

    def expected(self, name: str) -> Path:
        """The results of MXNet for a network."""
        return self.folder / "expected" / f"{name}.npz"

    def facts(self) -> dict[str, Any]:
        """What kit.json says. Raises KitError for a folder that is no complete kit."""
        try:
            facts: dict[str, Any] = json.loads(self.facts_file.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            raise KitError(f"{self.folder}: not prepared, run check_gpu.sh --prepare") from None
        if facts.get("version") != VERSION or facts.get("plan") not in PLANS:
            raise KitError(f"{self.folder}: prepared by another version, prepare it again")
        return facts

    def plan(self) -> Plan:
        """The sizes that the kit was prepared for."""
        return PLANS[self.facts()["plan"]]


def random_parameters(shapes: Mapping[str, tuple[int, ...]], seed: int) -> dict[str, np.ndarray]:
    """Weights that are equal on all machines, ``float32``, as the initialisation of He et al.

    Vectors are constant: 1 for gamma and the running variance, 0 for others.
    """
    values = {}
    for number, (name, shape) in enumerate(shapes.items()):
        if len(shape) < 2:
            ones = name.endswith(("gamma", "running_var"))
            values[name] = np.full(shape, float(ones), np.float32)
            continue
        rng = np.random.default_rng((seed, number))
        bound = math.sqrt(6 / math.prod(shape[1:]))
        values[name] = (rng.random(shape, np.float32) * 2 - 1) * np.float32(bound)
    return values


def hash_of(parameters: Mapping[str, np.ndarray]) -> str:
    """A hash of all values."""
    found = hashlib.sha256()
    for values in parameters.values():
        found.update(np.ascontiguousarray(values).tobytes())
    return found.hexdigest()


def load_network(kit: Kit, name: str) -> Any:
    """The description of a network with its random weights.

    Raises KitError where they are not those of the machine that prepared the kit.
    """
    description = load_description(kit.network(name))
    shapes = {key: values.shape for key, values in description.parameters.items()}
    parameters = random_parameters(shapes, kit.facts()["seed"])
    if hash_of(parameters) != kit.facts()["hashes"][name]:
        raise KitError(f"{name}: NumPy draws other random weights than where they were prepared")
    return dataclasses.replace(description, parameters=parameters)


def save_network(kit: Kit, name: str, description: Any) -> None:
    """Write a description without its weights, which zeros replace: they take no space."""
    empty = {key: np.zeros_like(values) for key, values in description.parameters.items()}
    save_description(kit.network(name), dataclasses.replace(description, parameters=empty))


def compared_values(values: np.ndarray) -> np.ndarray:
    """The values of a parameter that are compared, at most COMPARED of them."""
    flat = values.ravel()
    chosen = np.linspace(0, flat.size - 1, min(flat.size, COMPARED)).astype(int)
    found: np.ndarray = flat[chosen]
    return found


def photo_samples(paths: list[Path], count: int) -> Any:
    """At least ``count`` samples of random classes, which repeat the paths."""
    from fashionai.datasets.prepared.samples import Samples
    from fashionai.metrics import NO, YES
    from fashionai.tasks import Task

    repeated = paths * math.ceil(count / max(1, len(paths)))
    labels = np.random.default_rng(5).integers(0, len(CLASSES), len(repeated))
    marks = np.full((len(repeated), len(CLASSES)), NO, np.int8)
    marks[np.arange(len(repeated)), labels] = YES
    task = Task("photos", (), CLASSES, "table")
    heads = np.zeros(len(repeated), np.int64)
    return Samples([task], repeated, [str(path) for path in repeated], heads, marks)


def network_config(name: str, side: int, batch: int, **changes: Any) -> Any:
    """The configuration of a training of photos."""
    from fashionai.config import Config

    return Config(
        task="photos",
        model={"name": name, "pretrained": False},
        data={"resize_short": side, "crop": side},
        batch_size=batch,
    ).changed(changes)
