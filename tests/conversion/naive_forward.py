"""Networks of PyTorch written down once more, from the names in their state dicts."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from fashionai.frameworks.mxnet import import_mxnet

mx = import_mxnet()


class State:
    """Layers by their names in a state dict.

    With ``same`` images are padded as TensorFlow does: as many pixels as a convolution whose
    output has ceil(side / stride) pixels needs, and the odd one at the end.
    """

    def __init__(
        self, tensors: Mapping[str, np.ndarray], epsilon: float = 1e-5, same: bool = False
    ) -> None:
        self.tensors = {name: mx.nd.array(value) for name, value in tensors.items()}
        self.epsilon, self.same = epsilon, same

    def has(self, layer: str) -> bool:
        return f"{layer}.weight" in self.tensors

    def convolve(self, x: Any, layer: str, stride: int = 1, groups: int = 1) -> Any:
        weight = self.tensors[f"{layer}.weight"]
        size, side = weight.shape[2], x.shape[2]
        before = after = size // 2
        if self.same:
            padding = max((math.ceil(side / stride) - 1) * stride + size - side, 0)
            before, after = padding // 2, padding - padding // 2
        return mx.nd.Convolution(
            mx.nd.pad(x, mode="constant", pad_width=(0, 0, 0, 0, before, after, before, after)),
            weight,
            bias=self.tensors.get(f"{layer}.bias"),
            no_bias=f"{layer}.bias" not in self.tensors,
            num_filter=len(weight),
            num_group=groups,
            kernel=(size, size),
            stride=(stride, stride),
        )

    def normalise(self, x: Any, layer: str) -> Any:
        gamma, beta, mean, variance = (
            self.tensors[f"{layer}.{name}"].reshape((1, -1, 1, 1))
            for name in ("weight", "bias", "running_mean", "running_var")
        )
        return gamma * (x - mean) / (variance + self.epsilon).sqrt() + beta

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


def efficientnet(
    tensors: Mapping[str, np.ndarray], images: np.ndarray, strides: Sequence[int], tensorflow: bool
) -> np.ndarray:
    """timm's EfficientNets; Lite's layers are known by the lack of squeeze-and-excitation.

    ``strides`` are those of the stages. ``tensorflow`` means its padding and epsilon.
    """
    state = State(tensors, epsilon=1e-3 if tensorflow else 1e-5, same=tensorflow)
    is_lite = not any(".se." in name for name in tensors)

    def active(x: Any, layer: str) -> Any:
        x = state.normalise(x, layer)
        return mx.nd.clip(x, 0, 6) if is_lite else x / (1 + (-x).exp())

    x = active(state.convolve(mx.nd.array(images), "conv_stem", 2), "bn1")
    for stage, stage_stride in enumerate(strides):
        block = 0
        while any(name.startswith(f"blocks.{stage}.{block}.") for name in tensors):
            name, y = f"blocks.{stage}.{block}", x
            stride = 1 if block else stage_stride
            if state.has(f"{name}.conv"):
                y = active(state.convolve(y, f"{name}.conv", stride), f"{name}.bn1")
            elif state.has(f"{name}.conv_exp"):
                y = active(state.convolve(y, f"{name}.conv_exp", stride), f"{name}.bn1")
                y = state.normalise(state.convolve(y, f"{name}.conv_pwl"), f"{name}.bn2")
            else:
                first = 1
                if state.has(f"{name}.conv_pwl"):
                    y, first = active(state.convolve(y, f"{name}.conv_pw"), f"{name}.bn1"), 2
                y = state.convolve(y, f"{name}.conv_dw", stride, groups=y.shape[1])
                y = active(y, f"{name}.bn{first}")
                if not is_lite:
                    s = state.convolve(y.mean(axis=(2, 3), keepdims=True), f"{name}.se.conv_reduce")
                    s = state.convolve(s / (1 + (-s).exp()), f"{name}.se.conv_expand")
                    y = y / (1 + (-s).exp())
                last = "conv_pwl" if first == 2 else "conv_pw"
                y = state.normalise(state.convolve(y, f"{name}.{last}"), f"{name}.bn{first + 1}")
            x, block = x + y if y.shape == x.shape else y, block + 1
    x = active(state.convolve(x, "conv_head"), "bn2")
    return state.classify(x, "classifier")
