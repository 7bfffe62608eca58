"""Networks of PyTorch written down once more, from the names in their state dicts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from fashionai.frameworks.mxnet import import_mxnet

mx = import_mxnet()


class State:
    """Layers by their names in a state dict."""

    def __init__(self, tensors: Mapping[str, np.ndarray]) -> None:
        self.tensors = {name: mx.nd.array(value) for name, value in tensors.items()}

    def convolve(self, x: Any, layer: str, stride: int = 1, groups: int = 1) -> Any:
        weight = self.tensors[f"{layer}.weight"]
        size = weight.shape[2]
        return mx.nd.Convolution(
            x,
            weight,
            no_bias=True,
            num_filter=len(weight),
            num_group=groups,
            kernel=(size, size),
            stride=(stride, stride),
            pad=(size // 2, size // 2),
        )

    def normalise(self, x: Any, layer: str) -> Any:
        gamma, beta, mean, variance = (
            self.tensors[f"{layer}.{name}"].reshape((1, -1, 1, 1))
            for name in ("weight", "bias", "running_mean", "running_var")
        )
        return gamma * (x - mean) / (variance + 1e-5).sqrt() + beta

    def classify(self, x: Any, layer: str) -> np.ndarray:
        features = x.mean(axis=(2, 3)).asnumpy()
        weight, bias = (self.tensors[f"{layer}.{name}"].asnumpy() for name in ("weight", "bias"))
        return features @ weight.reshape(len(weight), -1).T + bias


def resnet_v2(tensors: Mapping[str, np.ndarray], images: np.ndarray) -> np.ndarray:
    """timm's pre-activation ResNet, of basic blocks or bottlenecks."""
    state = State(tensors)
    x = state.convolve(mx.nd.array(images), "stem.conv", stride=2)
    x = mx.nd.Pooling(x, kernel=(3, 3), stride=(2, 2), pad=(1, 1), pool_type="max")
    for stage in range(4):
        block = 0
        while f"stages.{stage}.blocks.{block}.conv1.weight" in tensors:
            name = f"stages.{stage}.blocks.{block}"
            stride = 2 if stage and not block else 1
            bottleneck = f"{name}.conv3.weight" in tensors
            y = mx.nd.relu(state.normalise(x, f"{name}.norm1"))
            if f"{name}.downsample.conv.weight" in tensors:
                x = state.convolve(y, f"{name}.downsample.conv", stride)
            y = state.convolve(y, f"{name}.conv1", 1 if bottleneck else stride)
            y = mx.nd.relu(state.normalise(y, f"{name}.norm2"))
            y = state.convolve(y, f"{name}.conv2", stride if bottleneck else 1)
            if bottleneck:
                y = mx.nd.relu(state.normalise(y, f"{name}.norm3"))
                y = state.convolve(y, f"{name}.conv3")
            x, block = x + y, block + 1
    return state.classify(mx.nd.relu(state.normalise(x, "norm")), "head.fc")


def mobilenet_v2(tensors: Mapping[str, np.ndarray], images: np.ndarray) -> np.ndarray:
    """torchvision's MobileNetV2."""
    state = State(tensors)

    def normalise(x: Any, layer: str) -> Any:
        return mx.nd.clip(state.normalise(x, layer), 0, 6)

    x = state.convolve(mx.nd.array(images), "features.0.0", stride=2)
    x = normalise(x, "features.0.1")
    for block in range(1, 18):
        name, y, position = f"features.{block}.conv", x, 0
        if block > 1:
            y = normalise(state.convolve(y, f"{name}.0.0"), f"{name}.0.1")
            position = 1
        stride = 2 if block in (2, 4, 7, 14) else 1
        y = state.convolve(y, f"{name}.{position}.0", stride, groups=y.shape[1])
        y = normalise(y, f"{name}.{position}.1")
        y = state.convolve(y, f"{name}.{position + 1}")
        y = state.normalise(y, f"{name}.{position + 2}")
        x = x + y if y.shape == x.shape else y
    x = normalise(state.convolve(x, "features.18.0"), "features.18.1")
    return state.classify(x, "classifier.1")
