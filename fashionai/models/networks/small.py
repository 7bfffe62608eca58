"""Networks of this project: a small one for small images, and those of the tutorials."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fashionai.frameworks.mxnet import import_mxnet

mx = import_mxnet()
nn = mx.gluon.nn
HybridBlock: Any = mx.gluon.HybridBlock


class SmallCNN(HybridBlock):
    """Six 3x3 convolutions with batch normalisation for images of 28 to 64 pixels.

    Input ``(B, 3, H, W) float32`` with sides of at least 4, output logits
    ``(B, classes)``. The convolutions have 32, 64, 64, 128, 128 and 128 channels. Max
    pooling halves the sides after the first and the third one. Global average
    pooling precedes the output layer.
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


class TutorialNet(HybridBlock):
    """A sequential network of a tutorial, with logits ``(B, classes)`` as output.

    The tutorials end their networks in a softmax and apply a loss that computes the
    softmax again. Here only the loss and the prediction compute it.
    """

    def __init__(self, layers: Sequence[Any], classes: int) -> None:
        super().__init__()
        with self.name_scope():
            self.features = nn.HybridSequential(prefix="")
            self.features.add(*layers)
            self.output = nn.Dense(classes)

    def hybrid_forward(self, F: Any, x: Any) -> Any:  # noqa: N803 - Gluon's name
        """Logits of a batch."""
        return self.output(self.features(x))


def logos_cnn(classes: int) -> Any:
    """The CNN of the FlickrLogos tutorial, for images of 224 pixels."""
    return TutorialNet(
        [
            nn.Conv2D(96, kernel_size=11, strides=4, activation="relu"),
            nn.MaxPool2D(pool_size=3, strides=2),
            nn.Conv2D(192, kernel_size=5, activation="relu"),
            nn.MaxPool2D(pool_size=3, strides=2),
            nn.Flatten(),
            nn.Dense(4096, activation="relu"),
        ],
        classes,
    )


class TiledConv2D(nn.Conv2D):  # type: ignore[name-defined]
    """A convolution with a large kernel, without padding, followed by a ReLU.

    The convolution is computed as a sum over tiles of its kernel. oneDNN has fast code
    for kernels of up to about 20 pixels and takes ten seconds per image for one of 45.
    ``kernel`` and ``tile`` are sides in pixels; ``kernel`` is a multiple of ``tile``.
    """

    def __init__(self, channels: int, kernel: int, tile: int, in_channels: int) -> None:
        super().__init__(channels, kernel_size=kernel, in_channels=in_channels)
        self._kernel, self._tile = kernel, tile

    def hybrid_forward(self, F: Any, x: Any, weight: Any, bias: Any) -> Any:  # noqa: N803
        """The output ``(B, channels, H - kernel + 1, W - kernel + 1)``."""
        kernel, tile = self._kernel, self._tile
        output = F.reshape(bias, (1, -1, 1, 1))
        for top in range(0, kernel, tile):
            for left in range(0, kernel, tile):
                begin = (None, None, top, left)
                ends = (top + tile - kernel or None, left + tile - kernel or None)
                part = F.Convolution(
                    F.slice(x, begin=begin, end=(None, None, *ends)),
                    F.slice(weight, begin=begin, end=(None, None, top + tile, left + tile)),
                    no_bias=True,
                    kernel=(tile, tile),
                    num_filter=self._channels,
                )
                output = F.broadcast_add(part, output)
        return F.relu(output)


def covers_lenet(classes: int) -> Any:
    """The LeNet-like network of the video cover tutorial, for images of 240 pixels."""
    return TutorialNet(
        [
            TiledConv2D(6, kernel=45, tile=15, in_channels=3),
            nn.AvgPool2D(pool_size=18, strides=2),
            nn.Conv2D(9, kernel_size=20, activation="relu"),
            nn.AvgPool2D(pool_size=9, strides=2),
            nn.Flatten(),
            nn.Dense(544, activation="relu"),
            nn.Dense(68, activation="relu"),
        ],
        classes,
    )


def covers_alexnet(classes: int) -> Any:
    """The AlexNet-like network of the video cover tutorial, for images of 240 pixels."""
    return TutorialNet(
        [
            nn.Conv2D(96, kernel_size=11, strides=4, padding=1, activation="relu"),
            nn.MaxPool2D(pool_size=3, strides=2),
            nn.Conv2D(256, kernel_size=5, padding=2, activation="relu"),
            nn.MaxPool2D(pool_size=3, strides=2),
            nn.Conv2D(384, kernel_size=3, padding=1, activation="relu"),
            nn.Conv2D(384, kernel_size=3, padding=1, activation="relu"),
            nn.Conv2D(256, kernel_size=3, padding=1, activation="relu"),
            nn.MaxPool2D(pool_size=3, strides=2),
            nn.Flatten(),
            nn.Dense(4096, activation="relu"),
            nn.Dropout(0.5),
            nn.Dense(4096, activation="relu"),
            nn.Dropout(0.5),
        ],
        classes,
    )
