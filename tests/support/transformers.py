"""Small networks of the families ConvNeXt, ViT and DeiT3, and their formulas in NumPy."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from scipy.special import erf

from fashionai.frameworks.mxnet import import_mxnet
from fashionai.models.networks.convnext import ConvNeXt
from fashionai.models.networks.options import Builder, NetworkOptions
from fashionai.models.networks.vit import DEIT3, VIT, VisionTransformer

mx = import_mxnet()

HEAD = 64
SMALL: dict[str, Builder] = {
    "small_convnext": lambda options: ConvNeXt(8, (1, 2, 1, 1), options),
    "small_vit": lambda options: VisionTransformer(2 * HEAD, VIT, options, depth=3),
    "small_deit3": lambda options: VisionTransformer(2 * HEAD, DEIT3, options, depth=3),
}


def small_network(name: str, classes: int = 5, crop: int = 64, drop_path: float = 0) -> Any:
    """A network whose parameters are all of the order of 1 divided by their fan-in."""
    network = SMALL[name](NetworkOptions(classes, crop, drop_path))
    network.initialize()
    network(mx.nd.zeros((1, 3, crop, crop)))
    rng = np.random.default_rng(0)
    for key, parameter in network._collect_params_with_prefix().items():
        shape = parameter.shape
        if key.endswith(("gamma", "scale")):
            values = rng.uniform(0.5, 1.5, shape)
        else:
            fan = np.prod(shape[1:]) if key.endswith("weight") else 4
            values = rng.normal(0, (2 / fan) ** 0.5, shape)
        parameter.set_data(mx.nd.array(values))
    return network


def parameters_of(network: Any) -> dict[str, np.ndarray]:
    return {
        name: parameter.data().asnumpy().astype(np.float64)
        for name, parameter in network._collect_params_with_prefix().items()
    }


class Formulas:
    """Layers by the names of their parameters, all with the channels last."""

    def __init__(self, parameters: Mapping[str, np.ndarray]) -> None:
        self.values = parameters

    def normalise(self, x: np.ndarray, layer: str) -> np.ndarray:
        mean, variance = x.mean(axis=-1, keepdims=True), x.var(axis=-1, keepdims=True)
        gamma, beta = self.values[f"{layer}.gamma"], self.values[f"{layer}.beta"]
        return (x - mean) / np.sqrt(variance + 1e-6) * gamma + beta

    def dense(self, x: np.ndarray, layer: str) -> np.ndarray:
        y = x @ self.values[f"{layer}.weight"].T + self.values[f"{layer}.bias"]
        return y * self.values.get(f"{layer}.scale", 1.0)

    def mlp(self, x: np.ndarray, layer: str) -> np.ndarray:
        hidden = self.dense(x, f"{layer}.expand")
        return self.dense(hidden * (1 + erf(hidden / 2**0.5)) / 2, f"{layer}.project")

    def patches(self, x: np.ndarray, layer: str) -> np.ndarray:
        """A convolution whose kernel is as large as its stride."""
        weight, bias = self.values[f"{layer}.weight"], self.values[f"{layer}.bias"]
        side = weight.shape[2]
        count, height, width, channels = x.shape
        x = x.reshape(count, height // side, side, width // side, side, channels)
        return np.einsum("bhiwjc,ocij->bhwo", x, weight) + bias

    def depthwise(self, x: np.ndarray, layer: str) -> np.ndarray:
        weight, bias = self.values[f"{layer}.weight"], self.values[f"{layer}.bias"]
        padded = np.pad(x, ((0, 0), (3, 3), (3, 3), (0, 0)))
        total = np.zeros_like(x) + bias
        for i in range(7):
            for j in range(7):
                part = padded[:, i : i + x.shape[1], j : j + x.shape[2]]
                total += part * weight[:, 0, i, j]
        return total

    def attention(self, x: np.ndarray, layer: str) -> np.ndarray:
        """One image and one head after the other."""
        query, key, value = np.split(self.dense(x, f"{layer}.qkv"), 3, axis=-1)
        mixed = np.zeros_like(x)
        for image in range(len(x)):
            for first in range(0, x.shape[-1], HEAD):
                head = slice(first, first + HEAD)
                scores = np.exp(query[image, :, head] @ key[image, :, head].T / HEAD**0.5)
                scores /= scores.sum(axis=1, keepdims=True)
                mixed[image, :, head] = scores @ value[image, :, head]
        return self.dense(mixed, f"{layer}.project")


def convnext_logits(parameters: Mapping[str, np.ndarray], images: np.ndarray) -> np.ndarray:
    """The logits of a ConvNeXt for images ``(B, 3, H, W)``."""
    net = Formulas(parameters)
    x = net.patches(images.transpose(0, 2, 3, 1), "features.0.0")
    x = net.normalise(x, "features.0.1")
    for stage in range(1, 5):
        block = 0
        if stage > 1:
            x = net.normalise(x, f"features.{stage}.0")
            x, block = net.patches(x, f"features.{stage}.1"), 2
        while f"features.{stage}.{block}.norm.gamma" in parameters:
            name = f"features.{stage}.{block}"
            y = net.normalise(net.depthwise(x, f"{name}.depthwise"), f"{name}.norm")
            x, block = x + net.mlp(y, f"{name}.mlp"), block + 1
    return net.dense(net.normalise(x.mean(axis=(1, 2)), "features.7"), "output")


def transformer_logits(parameters: Mapping[str, np.ndarray], images: np.ndarray) -> np.ndarray:
    """The logits of a ViT, or of a DeiT3 if the position embedding has no class token."""
    net = Formulas(parameters)
    x = net.patches(images.transpose(0, 2, 3, 1), "features.0.patches")
    x = x.reshape(len(x), -1, x.shape[-1])
    token = np.repeat(parameters["features.0.class_token"], len(x), axis=0)
    positions = parameters["features.0.positions"]
    if positions.shape[1] == x.shape[1]:
        x = np.concatenate([token, x + positions], axis=1)
    else:
        x = np.concatenate([token, x], axis=1) + positions
    block = 1
    while f"features.{block}.norm1.gamma" in parameters:
        name = f"features.{block}"
        x = x + net.attention(net.normalise(x, f"{name}.norm1"), f"{name}.attention")
        x = x + net.mlp(net.normalise(x, f"{name}.norm2"), f"{name}.mlp")
        block += 1
    return net.dense(net.normalise(x[:, 0], f"features.{block + 1}"), "output")
