"""Exports a run's weights for PyTorch, by the names of torchvision or timm."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from safetensors.numpy import save

from fashionai.conversion.convert import TorchNetwork, convert, to_torch
from fashionai.conversion.positions import is_positions
from fashionai.engines.agreement import Agreement, agreement, noise_images
from fashionai.engines.gluon import load_network
from fashionai.errors import WeightsError
from fashionai.export.agreement_check import Exported, check_agreement
from fashionai.export.file_names import SAFETENSORS_FILES
from fashionai.export.model_files import check_folder, write_model
from fashionai.frameworks.mxnet import import_mxnet
from fashionai.models.forward import Forward
from fashionai.models.parameter_files import read_parameters
from fashionai.models.zoo import (
    build_network,
    parameter_shapes,
    set_parameters,
)
from fashionai.runs import Run
from fashionai.weights.fingerprint import input_pixels

mx = import_mxnet()


def export_safetensors(run: Run, folder: Path) -> Exported:
    """Write ``model.safetensors`` and ``model.json`` to a folder, see check_folder.

    The tensors have the names of torchvision or timm, whichever has the network. model.json names
    the library and the network, and holds the mean and the standard deviation of the input, for
    pixels in [0, 1]. The tensors are first converted back to MXNet and compared with the run on
    images of noise.

    Raises WeightsError when neither library has the network, when its layers cannot compute it, and
    when a probability differs by more than 1e-4; errors of check_folder.
    """
    check_folder(folder, SAFETENSORS_FILES)
    config = run.config
    weights = read_parameters(run.weights_file)
    torch = to_torch(config.model.name, weights, *config.data.normalization)
    own = load_network(run, [mx.cpu()])
    _check_crop(run, own, torch)
    exported = Exported(
        folder,
        f"{torch.library}'s {torch.network}",
        "images of noise",
        _agreement(run, own, torch),
    )
    check_agreement(run, exported)
    write_model(
        run,
        folder,
        dict(zip(SAFETENSORS_FILES, [save(torch.tensors, metadata={"format": "pt"})])),
        {
            "library": torch.library,
            "network": torch.network,
            "mean": torch.mean,
            "std": torch.std,
        },
    )
    return exported


def _check_crop(run: Run, own: Any, torch: TorchNetwork) -> None:
    """WeightsError when a dense layer has another size at this crop, as in VGG and AlexNet."""
    name, crop, classes = run.config.model.name, run.config.data.crop, run.columns[-1].stop
    expected_crop = input_pixels(name)
    if crop == expected_crop:
        return
    shapes = parameter_shapes(own)
    for layer, shape in parameter_shapes(build_network(name, classes, expected_crop)).items():
        if shape != shapes[layer] and not is_positions(layer):
            raise WeightsError(
                f"{run}: {torch.library}'s {torch.network} takes images of {expected_crop} "
                f"pixels, but the run was trained with {crop} pixels (layer {layer})"
            )


def _agreement(run: Run, own: Any, torch: TorchNetwork) -> Agreement:
    """Compare the run's network with its tensors converted back to MXNet."""
    config, columns, contexts = run.config, run.columns, [mx.cpu()]
    name, crop = config.model.name, config.data.crop
    converted_back = build_network(name, columns[-1].stop, crop)
    set_parameters(converted_back, convert(name, torch.tensors, parameter_shapes(own)))
    images = noise_images(crop)
    first, second = (
        Forward(network, mean, std, contexts, columns).begin(images)()
        for network, (mean, std) in (
            (own, config.data.normalization),
            (converted_back, (torch.mean, torch.std)),
        )
    )
    return agreement(first, second, columns)
