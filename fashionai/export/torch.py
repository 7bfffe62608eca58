"""A run's weights for PyTorch: by the names of torchvision and timm."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from safetensors.numpy import save

from fashionai.config import Config
from fashionai.conversion.convert import TorchNetwork, convert, to_torch
from fashionai.engines.agreement import Agreement, agreement, noise_images
from fashionai.engines.gluon import load_network
from fashionai.errors import WeightsError
from fashionai.export.model_files import Exported, check_difference, check_free, write_model
from fashionai.models.forward import Forward
from fashionai.models.zoo import (
    build_network,
    parameter_shapes,
    read_parameters,
    set_parameters,
)
from fashionai.runs import Run
from fashionai.runtime import import_mxnet
from fashionai.weights.fingerprint import input_pixels

mx = import_mxnet()


def export_safetensors(run: Run, folder: Path) -> Exported:
    """Write a run's weights by the names of torchvision or timm, where they have the network.

    ``folder`` gets ``model.safetensors`` and ``model.json``: what loads it, classes
    by task in the order of the outputs, crop, and the input's mean and deviation.
    Before that the tensors are converted back and must answer as the run does, to 1e-4.
    Raises WeightsError for a network that those libraries do not have, or that
    they cannot compute, RunError for a folder that is taken.
    """
    check_free(folder)
    config, columns = run.config, run.columns
    weights = {name: array.asnumpy() for name, array in read_parameters(run.weights_file).items()}
    torch = to_torch(config.model.name, weights, *config.data.normalization)
    own = load_network(run, [mx.cpu()])
    _check_crop(run, config, own, torch, columns[-1].stop)
    exported = Exported(
        folder,
        f"{torch.library}'s {torch.network}",
        "images of noise",
        _agreement(config, columns, own, torch),
    )
    check_difference(run, exported)
    write_model(
        run,
        folder,
        {"model.safetensors": save(torch.tensors, metadata={"format": "pt"})},
        {
            "library": torch.library,
            "network": torch.network,
            "mean": torch.mean,
            "std": torch.std,
        },
    )
    return exported


def _check_crop(run: Run, config: Config, own: Any, torch: TorchNetwork, classes: int) -> None:
    """WeightsError where the crop decides the size of a dense layer, as in VGG and AlexNet."""
    name, crop, pixels = config.model.name, config.data.crop, input_pixels(config.model.name)
    if crop == pixels:
        return
    shapes = parameter_shapes(own)
    for layer, shape in parameter_shapes(build_network(name, classes, pixels)).items():
        if shape != shapes[layer]:
            raise WeightsError(
                f"{run}: {torch.library}'s {torch.network} takes images of {pixels} "
                f"pixels, and this one was trained on {crop} ({layer})"
            )


def _agreement(
    config: Config, columns: Sequence[slice], own: Any, torch: TorchNetwork
) -> Agreement:
    """On images of noise, dark and bright ones among them."""
    name, crop, contexts = config.model.name, config.data.crop, [mx.cpu()]
    again = build_network(name, columns[-1].stop, crop)
    set_parameters(again, convert(name, torch.tensors, parameter_shapes(own)))
    images = noise_images(crop)
    first, second = (
        Forward(network, mean, std, contexts, columns).begin(images)()
        for network, (mean, std) in (
            (own, config.data.normalization),
            (again, (torch.mean, torch.std)),
        )
    )
    return agreement(first, second, columns)
