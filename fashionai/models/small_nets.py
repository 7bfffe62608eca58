"""Networks of our own: a small one for small images, and those of the tutorials."""

from __future__ import annotations

from collections.abc import Callable, Sequence
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


class TutorialNet(HybridBlock):
    """A tutorial's network: layers one after the other, then logits ``(B, classes)``.

    The tutorials put a soft-max at the end and took the soft-max cross-entropy of
    that; here the soft-max is in the loss and in the predictor alone.
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
    """The FlickrLogos tutorial's CNN from scratch, for 224 pixels."""
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
    """A convolution with ReLU and without padding, whose large window is computed in tiles.

    The sum over tiles is the convolution. oneDNN has fast code for windows of up to
    some 20 pixels; one of 45 takes it ten seconds an image. ``kernel`` is a multiple of
    ``tile``, both in pixels.
    """

    def __init__(self, channels: int, kernel: int, tile: int, in_channels: int) -> None:
        super().__init__(channels, kernel_size=kernel, in_channels=in_channels)
        self._kernel, self._tile = kernel, tile

    def hybrid_forward(self, F: Any, x: Any, weight: Any, bias: Any) -> Any:  # noqa: N803
        """The answers ``(B, channels, H - kernel + 1, W - kernel + 1)``."""
        kernel, tile = self._kernel, self._tile
        answer = F.reshape(bias, (1, -1, 1, 1))
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
                answer = F.broadcast_add(part, answer)
        return F.relu(answer)


def covers_lenet(classes: int) -> Any:
    """The video cover tutorial's LeNet-like network with large windows, for 240 pixels."""
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
    """The video cover tutorial's AlexNet-like network, for 240 pixels."""
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


SMALL_NETS: dict[str, Callable[[int], Any]] = {
    "small_cnn": SmallCNN,
    "logos_cnn": logos_cnn,
    "covers_lenet": covers_lenet,
    "covers_alexnet": covers_alexnet,
}
