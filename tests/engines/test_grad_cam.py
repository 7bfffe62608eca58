"""Grad-CAM against its closed form and against finite differences."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from fashionai.engines.gluon import load_network
from fashionai.engines.grad_cam import GradCam
from fashionai.files.formats.array_lists import read_array_list
from fashionai.frameworks.mxnet import import_mxnet
from fashionai.models.feature_maps import split_at_last_map
from fashionai.models.graph import as_block, trace
from fashionai.models.zoo import build_network
from fashionai.runs import Run
from tests.support.made_runs import write_run

mx = import_mxnet()

CLASSES = 4


def opened(folder: Path, name: str, crop: int) -> tuple[Run, GradCam, np.ndarray]:
    """A run of a network with random weights, its Grad-CAM, and a view."""
    mx.random.seed(0)
    network = build_network(name, CLASSES, crop)
    run = write_run(folder / name, name, crop, [f"class {n}" for n in range(CLASSES)])
    network.save_parameters(str(run / "best.params"))
    rng = np.random.default_rng(0)
    blurred = cv2.GaussianBlur(rng.integers(0, 256, (crop, crop, 3), np.uint8), (0, 0), 3)
    opened = Run.open(run)
    return opened, GradCam(opened), cv2.normalize(blurred, None, 0, 255, cv2.NORM_MINMAX)


def test_it_is_cam_for_global_pooling_and_one_layer(tmp_path: Path) -> None:
    """There the gradients are the weights of the output layer (arXiv:1512.04150)."""
    run, grad_cam, view = opened(tmp_path, "small_cnn", 32)
    features, probabilities = grad_cam.activations(view)
    weights = read_array_list(run.weights_file)["output.weight"]
    expected = np.maximum(np.einsum("oc,chw->ohw", weights, features), 0)
    found = grad_cam.heat_maps(features, range(CLASSES))
    assert found.shape == (CLASSES, 32, 32)
    for heat, cam in zip(found, expected):
        enlarged = cv2.resize(cam, (32, 32), interpolation=cv2.INTER_LINEAR)
        np.testing.assert_allclose(heat, enlarged / enlarged.max(), atol=1e-5)
    assert probabilities.sum() == pytest.approx(1)


def test_weights_are_those_of_finite_differences(tmp_path: Path) -> None:
    """The weight of a channel is the slope of the logit by a number added to all its pixels."""
    run, grad_cam, view = opened(tmp_path, "mobilenetv3_small", 64)
    features, _ = grad_cam.activations(view)
    weights = grad_cam.gradients(features, [2])[0].mean(axis=(1, 2))
    pixels, step = features[0].size, 0.03 * float(np.abs(features).max())
    parts = split_at_last_map(trace(load_network(run, [mx.cpu()])), 64, "mobilenetv3_small")
    after = as_block(parts.after, [mx.cpu()])

    def logit(values: np.ndarray) -> float:
        return float(after(mx.nd.array(values[None])).asnumpy()[0, 2])

    slopes, channels = [], range(0, len(features), 12)
    for channel in channels:
        change = np.zeros_like(features)
        change[channel] = step
        slopes.append((logit(features + change) - logit(features - change)) / (2 * step * pixels))
    assert np.abs(weights).max() > 0
    np.testing.assert_allclose(weights[channels], slopes, atol=0.02 * np.abs(weights).max())


def test_nothing_speaks_for_a_class_of_negative_weights(tmp_path: Path) -> None:
    run, _, view = opened(tmp_path, "small_cnn", 32)
    weights = read_array_list(run.weights_file)
    weights["output.weight"] = weights["output.weight"] * np.array([[1], [0], [1], [1]]) - 0.01
    mx.nd.save(str(run.weights_file), {name: mx.nd.array(each) for name, each in weights.items()})
    grad_cam = GradCam(run)
    features, _ = grad_cam.activations(view)
    heat = grad_cam.heat_maps(features, [0, 1])
    assert heat[0].max() == 1
    assert not heat[1].any()
