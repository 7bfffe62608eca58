"""Every network against the real one in PyTorch: converted from it, and back.

PyTorch lives in an environment of its own, whose interpreter ``TORCH_PYTHON`` names:
scripts/test_conversion.sh makes it and runs these tests, which others leave out.
"""

from __future__ import annotations

import functools
import json
import math
import os
import subprocess
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from fashionai.conversion.checkpoints import read_checkpoint
from fashionai.conversion.convert import convert, to_torch
from fashionai.conversion.layouts.registry import LAYOUTS, layouts
from fashionai.conversion.published import PUBLISHED_WEIGHTS
from fashionai.models.zoo import build_network
from tests.support.networks import answers, shapes, with_parameters, write_parameters

pytestmark = pytest.mark.torch

SCRIPT = Path(__file__).with_name("torch_networks.py")
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
Arrays = dict[str, np.ndarray]
FORMS = {"resnet18": "legacy", "resnet34": "zip", "densenet121": "legacy", "vgg11": "zip"}
# The layouts that some library of today builds.
NETWORKS = [
    (model, layout.library, layout.network)
    for model in LAYOUTS
    for layout in layouts(model)
    if layout.library in ("torchvision", "timm")
]


@functools.cache
def torch_process() -> subprocess.Popen[str]:
    """The one process that has PyTorch; it ends with this one, at the end of its input."""
    assert "TORCH_PYTHON" in os.environ, "run scripts/test_conversion.sh"
    command, pipe = [os.environ["TORCH_PYTHON"], str(SCRIPT)], subprocess.PIPE
    return subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True)


def torch(*arguments: object) -> None:
    process = torch_process()
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(json.dumps([str(word) for word in arguments]) + "\n")
    process.stdin.flush()
    assert process.stdout.readline() == "done\n", "its error is printed above"


def sides(model: str) -> tuple[int, ...]:
    """Sides of images: that of the weights, and another one for the families of today."""
    if model.startswith(("vit", "deit3")):  # interpolate position embeddings
        return (224, 384)
    # TensorFlow pads images of 224 pixels at the end, and those of 260 pixels at both sides from
    # the third convolution of stride 2.
    if model.startswith(("convnext", "efficientnet", "resnest")) or model.endswith("_v1d"):
        return (224, 260)
    return (224,)


def random_pictures(side: int = 224) -> np.ndarray:
    """Random pictures of several scales, normalised."""
    rng = np.random.default_rng(1)
    pixels = np.zeros((2, 3, side, side))
    for size in (4, 28, side):
        patches, repeats = rng.random((2, 3, size, size)) / 3, math.ceil(side / size)
        pixels += patches.repeat(repeats, 2).repeat(repeats, 3)[:, :, :side, :side]
    normalised = (pixels - np.reshape(MEAN, (3, 1, 1))) / np.reshape(STD, (3, 1, 1))
    return normalised.astype(np.float32)


def difference(found: np.ndarray, expected: np.ndarray) -> float:
    """Relative to the largest of what is expected; two pictures have to differ by much more."""
    assert np.abs(expected[0] - expected[1]).max() > 0.01 * np.abs(expected).max()
    return float(np.abs(found - expected).max() / np.abs(expected).max())


def report(name: str, **values: float) -> None:
    text = ", ".join(f"{key} {value:.1e}" for key, value in values.items())
    print(f"\n{name}: {text}", end=" ")


def differences(found: Arrays, expected: Arrays) -> dict[str, float]:
    """The largest difference at each size, relative to the largest of what is expected."""
    assert found.keys() == expected.keys()
    return {name: difference(found[name], expected[name]) for name in expected}


def gluon_answers(model: str, file: Path, pictures: Arrays) -> Arrays:
    """The outputs of networks built for each size, with the parameters of a file."""
    return {
        side: answers(build_network(model, 1000, int(side), file), images)
        for side, images in pictures.items()
    }


@pytest.mark.parametrize(("model", "library", "network"), NETWORKS)
def test_outputs_are_those_of_pytorch(
    model: str, library: str, network: str, tmp_path: Path
) -> None:
    pictures = {str(side): random_pictures(side) for side in sides(model)}
    form = FORMS.get(network, "half" if library == "timm" else "safetensors")
    weights, images, expected = (tmp_path / name for name in ("weights", "in.npz", "out.npz"))
    np.savez(images, **pictures)
    torch("save", library, network, weights, images, expected, form)
    tensors = read_checkpoint(weights)
    saved = dict(np.load(expected))
    torch_answers = {side: saved[side] for side in pictures}
    own = differences({side: saved[f"{side} float32"] for side in pictures}, torch_answers)
    weights.unlink()

    bias = np.float32(0)
    if model == "mobilenetv2_1.0":  # Gluon's output layer has no bias, so the two are not alike
        output = layouts(model)[library == "timm"].layers["output.0"]
        assert "output.0.weight" not in convert(model, tensors, shapes(model))
        bias = tensors[f"{output}.bias"]
        tensors[f"{output}.bias"] = np.zeros_like(bias)
    parameters = convert(model, tensors, shapes(model))
    file = write_parameters(tmp_path / "network.params", parameters)
    found = gluon_answers(model, file, pictures)
    file.unlink()
    there = differences({side: logits + bias for side, logits in found.items()}, torch_answers)

    back = to_torch(model, parameters, MEAN, STD)
    np.testing.assert_allclose((back.mean, back.std), (MEAN, STD), rtol=1e-6)
    if bias.any():
        back.tensors[f"{layouts(model)[0].layers['output.0']}.bias"] = bias
    save_file(back.tensors, weights)
    torch("run", back.library, back.network, weights, images, expected)
    returned = load_file(weights)
    weights.unlink()
    again = differences(dict(np.load(expected)), torch_answers)
    for side in pictures:
        place = f"{model} {library}/{network} {side} px ({form})"
        report(place, there=there[side], back=again[side], torch_itself=own[side])
        # Random parameters of a very deep network may magnify rounding errors beyond the bound, in
        # PyTorch as well.
        assert there[side] < max(1e-4, 2 * own[side])
        assert own[side] < 5e-4
    assert max(again.values()) < 1e-4
    if library == back.library:
        counters = {name for name in tensors if name.endswith("num_batches_tracked")}
        assert returned.keys() == tensors.keys() - counters
        for name, tensor in returned.items():
            if not bias.any() or name != f"{output}.bias":
                np.testing.assert_allclose(tensor, tensors[name], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("model", ["resnet18_v2", "resnet50_v2"])
def test_trained_extra_layers_are_folded(model: str, tmp_path: Path) -> None:
    """As training leaves them: other statistics, scales of either sign, another input."""
    images = random_pictures()
    layout = layouts(model)[0]
    weights, pictures, expected = (tmp_path / name for name in ("weights", "in.npz", "out.npz"))
    np.savez(pictures, images=images)
    torch("save", layout.library, layout.network, weights, pictures, expected, "safetensors")
    parameters = convert(model, read_checkpoint(weights), shapes(model))
    rng = np.random.default_rng(3)
    for name in ("features.0.running_mean", "features.2.running_mean"):
        parameters[name] = parameters[name] + rng.normal(0, 0.1, parameters[name].shape)
    for name in ("features.0.running_var", "features.2.running_var", "features.2.gamma"):
        parameters[name] = parameters[name] * rng.uniform(0.8, 1.2, parameters[name].shape)
    parameters["features.2.gamma"] *= rng.choice([-1, 1], 64)
    parameters = {name: value.astype(np.float32) for name, value in parameters.items()}
    gluon_logits = answers(with_parameters(model, parameters), images)

    back = to_torch(model, parameters, MEAN, STD)
    assert np.abs(np.subtract(back.mean, MEAN)).min() > 1e-3
    shape = (3, 1, 1)
    pixels = images * np.reshape(STD, shape) + np.reshape(MEAN, shape)
    normalised = (pixels - np.reshape(back.mean, shape)) / np.reshape(back.std, shape)
    np.savez(pictures, images=normalised.astype(np.float32))
    save_file(back.tensors, weights)
    torch("run", back.library, back.network, weights, pictures, expected)
    folded = difference(np.load(expected)["images"], gluon_logits)
    report(f"{model} with trained extra layers", folded=folded)
    assert folded < 1e-4


def test_published_inputs_are_those_of_the_libraries(tmp_path: Path) -> None:
    torch("inputs", tmp_path / "inputs.json")
    inputs = json.loads((tmp_path / "inputs.json").read_text())
    for weights in PUBLISHED_WEIGHTS:
        facts = inputs[weights.name]
        assert [list(weights.mean), list(weights.std)] == facts["input"], weights
        evaluated = [weights.pixels, pytest.approx(weights.crop_fraction, abs=1e-3)]
        assert [*evaluated, weights.interpolation] in facts["settings"], weights
        if "licence" in facts:
            assert weights.licence.lower() == facts["licence"], weights
        if "top1" in facts:
            assert weights.top1 == pytest.approx(facts["top1"], abs=1e-4), weights
        networks = [(layout.library, layout.network) for layout in layouts(weights.model)]
        network = weights.name.split("-")[0].split(".")[0]
        assert (weights.library, network) in networks or weights.library == "timm"
