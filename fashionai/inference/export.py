"""A run's network for other libraries: checked first, written with all that its use takes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from safetensors.numpy import save_file

from fashionai.config import Config
from fashionai.conversion.convert import TorchNetwork, convert, to_torch
from fashionai.errors import RunError, WeightsError
from fashionai.files import atomic_path, write_json
from fashionai.models.forward import Forward
from fashionai.models.zoo import (
    build_network,
    load_parameters,
    parameter_shapes,
    read_parameters,
    set_parameters,
)
from fashionai.runs import RunFolder
from fashionai.runtime import import_mxnet
from fashionai.tasks import columns_of
from fashionai.weights.fingerprint import input_pixels

mx = import_mxnet()

WEIGHTS_FILE, DESCRIPTION_FILE = "model.safetensors", "model.json"
# Of probabilities of the run and of its exported network, both computed here.
TOLERANCE = 1e-4
CHECKED_IMAGES = 4


class Exported(NamedTuple):
    """What was written, what loads it, and how far its probabilities are from the run's."""

    folder: Path
    library: str
    network: str
    difference: float


def export_safetensors(run: RunFolder, folder: Path) -> Exported:
    """Write a run's weights by the names of torchvision or timm, where they have the network.

    ``folder`` gets ``model.safetensors`` and ``model.json``: what loads it, classes
    by task in the order of the outputs, crop, and the input's mean and deviation.
    Before that the tensors are converted back and must answer as the run does, to 1e-4.
    Raises WeightsError for a network that those libraries do not have, or that
    they cannot compute, RunError for a run without weights or a folder that is taken.
    """
    run.check_usable()
    if folder.exists() and any(folder.iterdir()):
        raise RunError(f"{folder}: is not empty", "Name another folder with --out")
    config, tasks = run.read_config(), run.read_tasks()
    weights = {name: array.asnumpy() for name, array in read_parameters(run.weights_file).items()}
    exported = to_torch(config.model.name, weights, *config.data.normalization)
    columns = columns_of(tasks)
    own = build_network(config.model.name, columns[-1].stop, config.data.crop)
    load_parameters(own, run.weights_file, [mx.cpu()])
    _check_crop(run, config, own, exported, columns[-1].stop)
    difference = _difference(config, columns, own, exported)
    if not difference <= TOLERANCE:
        raise WeightsError(
            f"{run}: as {exported.library}'s {exported.network} its probabilities would be off by "
            f"{difference:.2g}, expected at most {TOLERANCE:g}; nothing was written"
        )
    with atomic_path(folder / WEIGHTS_FILE) as temporary:
        save_file(exported.tensors, str(temporary), metadata={"format": "pt"})
    write_json(
        folder / DESCRIPTION_FILE,
        {
            "library": exported.library,
            "network": exported.network,
            "classes": {task.name: list(task.classes) for task in tasks},
            "resize_short": config.data.resize_short,
            "crop": config.data.crop,
            "mean": exported.mean,
            "std": exported.std,
        },
    )
    return Exported(folder, exported.library, exported.network, difference)


def _check_crop(
    run: RunFolder, config: Config, own: Any, exported: TorchNetwork, classes: int
) -> None:
    """WeightsError where the crop decides the size of a dense layer, as in VGG and AlexNet."""
    name, crop, pixels = config.model.name, config.data.crop, input_pixels(config.model.name)
    if crop == pixels:
        return
    shapes = parameter_shapes(own)
    for layer, shape in parameter_shapes(build_network(name, classes, pixels)).items():
        if shape != shapes[layer]:
            raise WeightsError(
                f"{run}: {exported.library}'s {exported.network} takes images of {pixels} "
                f"pixels, and this one was trained on {crop} ({layer})"
            )


def _difference(
    config: Config, columns: Sequence[slice], own: Any, exported: TorchNetwork
) -> float:
    """The largest difference in probability on images of noise, dark and bright ones among them."""
    name, crop, contexts = config.model.name, config.data.crop, [mx.cpu()]
    again = build_network(name, columns[-1].stop, crop)
    set_parameters(again, convert(name, exported.tensors, parameter_shapes(own)))
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (CHECKED_IMAGES, 1, crop, crop, 3)).astype(np.uint8)
    images[1] //= 4
    images[2] = 255 - images[2] // 4
    answers = [
        Forward(network, mean, std, contexts, columns).probabilities([images], CHECKED_IMAGES)
        for network, (mean, std) in (
            (own, config.data.normalization),
            (again, (exported.mean, exported.std)),
        )
    ]
    return float(np.abs(answers[0] - answers[1]).max())
