"""Small networks for small images, where the zoo's would be slow or too coarse."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fashionai.runtime import import_mxnet

mx = import_mxnet()
nn = mx.gluon.nn
HybridBlock: Any = mx.gluon.HybridBlock


class SmallCNN(HybridBlock):
    """Six 3x3 convolutions with batch normalisation for images of 28 to 64 pixels.

    Input ``(B, 3, H, W) float32``, output logits ``(B, classes)``. Channels 32,
    64, 64, 128, 128, 128; the sides are halved after the first and the third
    convolution; global average pooling, so that any size of at least 4 works.
    """

    def __init__(self, classes: int) -> None:
        super().__init__()
        with self.name_scope():
            self.features = nn.HybridSequential(prefix="")
            for index, channels in enumerate((32, 64, 64, 128, 128, 128)):
                self.features.add(
                    nn.Conv2D(channels, kernel_size=3, padding=1, use_bias=False),
                    nn.BatchNorm(),
                    nn.Activation("relu"),
                )
                if index in (0, 2):
                    self.features.add(nn.MaxPool2D(2))
            self.features.add(nn.GlobalAvgPool2D(), nn.Flatten())
            self.output = nn.Dense(classes)

    def hybrid_forward(self, F: Any, x: Any) -> Any:  # noqa: N803 - Gluon's name
        """Logits of a batch."""
        return self.output(self.features(x))


SMALL_NETS: dict[str, Callable[[int], Any]] = {"small_cnn": SmallCNN}
