"""Plain loops with Gluon: usage: gluon_plain.py train|predict NETWORK IMAGES BATCH_SIZE.

One process loads one image at a time and computes one batch at a time. For ``train``, IMAGES is a
folder with class folders; for ``predict`` it is a text file with one file name per line.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

# MXNet 1.9.1 uses aliases that NumPy has removed.
for alias in (bool, int, float, object, complex, str):
    setattr(np, alias.__name__, alias)

import mxnet as mx  # noqa: E402
from mxnet import autograd, gluon, image  # noqa: E402

CLASSES = 8
MEAN = np.array([0.485, 0.456, 0.406], np.float32)
STD = np.array([0.229, 0.224, 0.225], np.float32)
OPTIMIZER = {"learning_rate": 0.01, "momentum": 0.9, "wd": 1e-4}


def read(file: Path) -> Any:
    """Decode an image and resize its short side to 256 pixels."""
    return image.resize_short(image.imread(str(file)), 256)


def batches(views: Iterator[np.ndarray], size: int) -> Iterator[Any]:
    """Yield normalised batches ``(size, 3, 224, 224) float32`` without an incomplete last batch."""
    batch = np.empty((size, 3, 224, 224), np.float32)
    for number, view in enumerate(views):
        batch[number % size] = ((view.astype(np.float32) / 255 - MEAN) / STD).transpose(2, 0, 1)
        if number % size == size - 1:
            yield mx.nd.array(batch)


def train(network: Any, folder: Path, batch_size: int) -> None:
    """Train one epoch with SGD on random crops, without validation."""
    files = sorted(folder.glob("*/*.jpg"))
    labels = iter([number % CLASSES for number in range(len(files))])
    crops = (image.random_crop(read(file), (224, 224))[0].asnumpy() for file in files)
    trainer = gluon.Trainer(network.collect_params(), "sgd", OPTIMIZER)
    cross_entropy = gluon.loss.SoftmaxCrossEntropyLoss()
    for batch in batches(crops, batch_size):
        targets = mx.nd.array([next(labels) for _ in range(batch_size)])
        with autograd.record():
            loss = cross_entropy(network(batch), targets)
        loss.backward()
        trainer.step(batch_size)
        print(loss.mean().asscalar())


def predict(network: Any, listing: Path, batch_size: int) -> None:
    """Predict the class of each image from the mean probabilities of ten crops."""
    files = [listing.parent / name for name in listing.read_text().splitlines()]
    views = (view for file in files for view in ten_crops(read(file).asnumpy()))
    for batch in batches(views, 10 * batch_size):
        probabilities = mx.nd.softmax(network(batch)).asnumpy()
        print(probabilities.reshape(batch_size, 10, -1).mean(axis=1).argmax(axis=1))


def ten_crops(pixels: np.ndarray) -> list[np.ndarray]:
    """The centre crop and the four corner crops, then their mirror images."""
    bottom, right = pixels.shape[0] - 224, pixels.shape[1] - 224
    corners = [(bottom // 2, right // 2), (0, 0), (0, right), (bottom, 0), (bottom, right)]
    crops = [pixels[y : y + 224, x : x + 224] for y, x in corners]
    return crops + [crop[:, ::-1] for crop in crops]


if __name__ == "__main__":
    net = gluon.model_zoo.vision.get_model(sys.argv[2], classes=CLASSES)
    net.initialize(mx.init.Xavier())
    net.hybridize()
    {"train": train, "predict": predict}[sys.argv[1]](net, Path(sys.argv[3]), int(sys.argv[4]))
