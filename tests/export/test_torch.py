"""Exports for PyTorch: names and shapes of tensors, model.json, and networks that are refused."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from fashionai.frameworks.mxnet import import_mxnet
from fashionai.runs import Run, RunFolder
from tests.support.commands import fashionai
from tests.support.networks import make_run

mx = import_mxnet()


def export(run: Run, out: Path) -> int:
    return fashionai("export", "--run", run, "--format", "safetensors", "--out", out)


def test_tensors_have_torchvisions_names_and_shapes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Those of torchvision 0.15's squeezenet1_1, whose layer of classes is a convolution."""
    run = make_run(tmp_path, "squeezenet1.1", mean=[0.5, 0.4, 0.3], std=[0.1, 0.2, 0.3])
    assert export(run, tmp_path / "out") == 0
    assert "torchvision's squeezenet1_1" in capsys.readouterr().out
    tensors = load_file(str(tmp_path / "out/model.safetensors"))
    fires = {3: (64, 16), 4: (128, 16), 6: (128, 32), 7: (256, 32), 9: (256, 48), 10: (384, 48)}
    fires.update({11: (384, 64), 12: (512, 64)})
    expected = {"features.0.weight": (64, 3, 3, 3), "features.0.bias": (64,)}
    for place, (inputs, squeezed) in fires.items():
        expanded = 4 * squeezed
        for name, shape in (
            ("squeeze", (squeezed, inputs, 1, 1)),
            ("expand1x1", (expanded, squeezed, 1, 1)),
            ("expand3x3", (expanded, squeezed, 3, 3)),
        ):
            expected[f"features.{place}.{name}.weight"] = shape
            expected[f"features.{place}.{name}.bias"] = shape[:1]
    expected.update({"classifier.1.weight": (12, 512, 1, 1), "classifier.1.bias": (12,)})
    assert {name: tensor.shape for name, tensor in tensors.items()} == expected
    own = mx.nd.load(str(run.folder.best_parameters))
    np.testing.assert_array_equal(tensors["features.0.weight"], own["features.0.weight"].asnumpy())
    described = json.loads((tmp_path / "out/model.json").read_text())
    assert list(described["classes"]) == ["skirt_length_labels", "pant_length_labels"]
    assert described["classes"]["pant_length_labels"][3] == "3/4"
    assert described["columns"] == {"skirt_length_labels": [0, 6], "pant_length_labels": [6, 12]}
    assert (described["resize_short"], described["crop"]) == (72, 64)
    assert (described["mean"], described["std"]) == ([0.5, 0.4, 0.3], [0.1, 0.2, 0.3])
    (tmp_path / "out/model.json").write_text("{}")
    assert export(run, tmp_path / "out") == 2
    assert "out: is not empty and holds no earlier export" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("network", "message"),
    [
        ("mobilenet0.25", "mobilenet0.25 has no counterpart of equal architecture"),
        (
            "resnet18_v2",
            "has no ReLU after its first convolution, and the ReLU of this network can clip",
        ),
        ("mobilenetv2_1.0", "features.3.out.0 differs from the identity by"),
    ],
)
def test_what_cannot_be_computed_elsewhere_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], network: str, message: str
) -> None:
    assert export(make_run(tmp_path, network), tmp_path / "out") == 2
    error = capsys.readouterr().err
    assert len(error.splitlines()) == 1
    assert re.search(message, error)
    assert not (tmp_path / "out").exists()


def test_dense_layers_of_another_crop_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """AlexNet's first dense layer has a size that its images decide."""
    assert export(make_run(tmp_path, "alexnet"), tmp_path / "out") == 2
    assert (
        "alexnet takes images of 224 pixels, but the run was trained with 64"
        in capsys.readouterr().err
    )
    assert not (tmp_path / "out").exists()


def test_position_embeddings_keep_the_size_of_the_run(tmp_path: Path) -> None:
    """timm's network takes them with img_size=64: 4 x 4 patches and the class token."""
    run = make_run(tmp_path, "vit_tiny")
    assert export(run, tmp_path / "out") == 0
    tensors = load_file(str(tmp_path / "out/model.safetensors"))
    own = mx.nd.load(str(run.folder.best_parameters))
    assert tensors["pos_embed"].shape == (1, 17, 192)
    np.testing.assert_array_equal(tensors["pos_embed"], own["features.0.positions"].asnumpy())
    described = json.loads((tmp_path / "out/model.json").read_text())
    assert (described["network"], described["crop"]) == ("vit_tiny_patch16_224", 64)


def test_a_run_without_weights_is_not_exported(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert export(Run(RunFolder(tmp_path / "none")), tmp_path / "out") == 2
    assert f"{tmp_path / 'none'}" in capsys.readouterr().err
