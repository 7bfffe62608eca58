"""The PyTorch side of test_torch.py: run by an interpreter that has torch, torchvision and timm.

Each line of the input is a list in JSON, one of these; each is answered by a line "done":
  save LIBRARY NETWORK WEIGHTS IMAGES.npz ANSWERS.npz FORM
  run LIBRARY NETWORK WEIGHTS.safetensors IMAGES.npz ANSWERS.npz
  inputs INPUTS.json

IMAGES.npz has an array of images per size. Networks are made for the size of the first one, and
ANSWERS.npz gets their outputs for each, computed in float64. "save" adds those that were computed
in float32: the size of their errors is what rounding does to a network with these parameters.
"""

from __future__ import annotations

import copy
import json
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import timm
import torch
import torchvision
from safetensors.torch import load_file, save_file

FLOAT32 = "float32"


def build(library: str, network: str) -> torch.nn.Module:
    if library == "timm":
        return timm.create_model(network)
    return torchvision.models.get_model(network)


Uniform = Callable[[torch.Tensor, float, float], torch.Tensor]


def randomise(network: torch.nn.Module, images: torch.Tensor) -> None:
    """Parameters and statistics such that none of them can be left out or confused unnoticed."""
    generator = torch.Generator().manual_seed(0)

    def uniform(like: torch.Tensor, low: float, high: float) -> torch.Tensor:
        return torch.rand(like.shape, generator=generator) * (high - low) + low

    normalisations = [m for m in network.modules() if isinstance(m, torch.nn.BatchNorm2d)]
    with torch.no_grad():
        for module in network.modules():
            for name, parameter in module.named_parameters(recurse=False):
                # Layer scales, class tokens and position embeddings begin near 0.
                if name not in ("weight", "bias"):
                    parameter.copy_(uniform(parameter, -1, 1))
            if isinstance(module, torch.nn.LayerNorm):
                module.weight.copy_(uniform(module.weight, 0.5, 1.5))
            if getattr(module, "bias", None) is not None:
                module.bias.copy_(uniform(module.bias, -0.1, 0.1))
            # The usual ones are so small that biases alone would make the answers.
            if isinstance(module, (torch.nn.Conv2d, torch.nn.Linear)) and not normalisations:
                torch.nn.init.kaiming_normal_(module.weight, generator=generator)
        for module in normalisations:
            module.weight.copy_(uniform(module.weight, 0.5, 1.5))
            module.bias.mul_(5)
        set_statistics(network, normalisations, images, uniform)


def set_statistics(
    network: torch.nn.Module,
    normalisations: list[torch.nn.Module],
    images: torch.Tensor,
    uniform: Uniform,
) -> None:
    """Statistics of real activations, moved; others would let values grow from layer to layer.

    They are set from the first layer on, so that each layer sees what it sees later.
    """

    def set_one(module: torch.nn.Module, inputs: tuple[torch.Tensor]) -> None:
        variance, mean = torch.var_mean(inputs[0], dim=(0, 2, 3), correction=0)
        mean += uniform(mean, -0.3, 0.3) * variance.sqrt()
        variance *= uniform(mean, 0.6, 1.6)
        # A deviation far below the mean, or far below those of other channels, would magnify
        # rounding errors from block to block: that of values pooled over two images, for one.
        least = torch.maximum(mean.square() / 4, variance.mean() / 100)
        module.running_mean.copy_(mean)
        module.running_var.copy_(torch.maximum(variance, least))

    hooks = [module.register_forward_pre_hook(set_one) for module in normalisations]
    network.eval()
    network(images)
    for hook in hooks:
        hook.remove()


def answers(
    network: torch.nn.Module, images: torch.Tensor, dtype: torch.dtype = torch.float64
) -> np.ndarray:
    network = copy.deepcopy(network)
    if hasattr(network, "pos_embed"):  # interpolates it, unless the size is the same
        network.set_input_size(tuple(images.shape[2:]))
    with torch.no_grad():
        return network.eval().to(dtype)(images.to(dtype)).numpy()


def save(state: dict[str, torch.Tensor], file: str, form: str) -> None:
    if form == "safetensors":
        save_file({name: tensor.contiguous() for name, tensor in state.items()}, file)
    elif form == "half":
        torch.save({"state_dict": {f"module.{n}": t for n, t in state.items()}}, file)
    else:
        torch.save(state, file, _use_new_zipfile_serialization=form != "legacy")


def inputs() -> dict[str, dict[str, object]]:
    """What the libraries say about their published weights, by their name.

    ``settings`` are the pixels, crop fractions and interpolations of evaluation.
    """
    found: dict[str, dict[str, object]] = {}
    for name in timm.list_pretrained():
        config = timm.get_pretrained_cfg(name)
        settings = [(config.input_size[-1], config.crop_pct, config.interpolation)]
        if config.test_input_size:
            crop = config.test_crop_pct or config.crop_pct
            settings.append((config.test_input_size[-1], crop, config.interpolation))
        found[name] = {
            "input": [config.mean, config.std],
            "settings": settings,
            "licence": config.license,
        }
    for network in torchvision.models.list_models(module=torchvision.models):
        for weights in torchvision.models.get_model_weights(network):
            transform = weights.transforms()
            (crop,), (short,) = transform.crop_size, transform.resize_size
            found[weights.url.split("/")[-1]] = {
                "input": [transform.mean, transform.std],
                "settings": [(crop, crop / short, transform.interpolation.value)],
                "top1": weights.meta["_metrics"]["ImageNet-1K"]["acc@1"] / 100,
            }
    return found


def carry_out(action: str, *arguments: str) -> None:
    if action == "inputs":
        Path(arguments[0]).write_text(json.dumps(inputs()))
        return
    library, name, weights, images_file, answers_file, *form = arguments
    with np.load(images_file) as arrays:
        images = {side: torch.from_numpy(arrays[side]) for side in arrays.files}
    if action == "save":
        torch.manual_seed(0)
        network = build(library, name)
        randomise(network, next(iter(images.values())))
        if form == ["half"]:  # what a rounded file holds is what its network has
            network.half().float()
        state = network.state_dict()
        if form == ["half"]:
            state = {n: t.half() if t.is_floating_point() else t for n, t in state.items()}
        exact = {side: answers(network, each) for side, each in images.items()}
        rounded = {
            f"{side} {FLOAT32}": answers(network, each, torch.float32)
            for side, each in images.items()
        }
        np.savez(answers_file, **exact, **rounded)
        save(state, weights, form[0])
    else:
        network = build(library, name)
        network.load_state_dict(load_file(weights))
        np.savez(answers_file, **{side: answers(network, each) for side, each in images.items()})


if __name__ == "__main__":
    for line in sys.stdin:
        carry_out(*json.loads(line))
        print("done", flush=True)
