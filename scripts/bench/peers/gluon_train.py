"""Training as in the Gluon tutorials, with MXNet and NumPy alone."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
from measuring.worker import FACTS, Settings, serve

# MXNet 1.9.1 uses aliases that NumPy has removed.
for alias in (bool, int, float, object, complex, str):
    setattr(np, alias.__name__, alias)

import mxnet as mx  # noqa: E402
from mxnet import autograd, gluon, image, nd  # noqa: E402

DEVICES = [mx.cpu()]
PROCESSES = 2
MEAN, STD = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
AUGMENTERS = image.CreateAugmenter(
    data_shape=(3, 224, 224), resize=256, rand_crop=True, rand_mirror=True, mean=MEAN, std=STD
)


def augment(data: Any, label: int) -> Any:
    """Augment an image: the network's input ``(3, 224, 224) float32``, and the label."""
    data = data.astype("float32") / 255
    for augmenter in AUGMENTERS:
        data = augmenter(data)
    return nd.transpose(data, (2, 0, 1)), np.float32(label)


def set_up(settings: Settings) -> Callable[[], float]:
    """Measure images per second over an epoch."""
    folder = gluon.data.vision.ImageFolderDataset(settings["folder"], transform=augment)
    # Made before MXNet computes anything, because its processes are forked.
    batches = gluon.data.DataLoader(
        folder, settings["batch_size"], shuffle=True, num_workers=PROCESSES, last_batch="discard"
    )
    FACTS["threads"] = "default"
    network = gluon.model_zoo.vision.get_model(settings["network"], classes=settings["classes"])
    network.initialize(mx.init.Xavier())
    network.hybridize()
    optimizer = {
        "learning_rate": settings["lr"],
        "momentum": settings["momentum"],
        "wd": settings["weight_decay"],
    }
    trainer = gluon.Trainer(network.collect_params(), "sgd", optimizer)
    cross_entropy = gluon.loss.SoftmaxCrossEntropyLoss()

    def measure() -> float:
        metric = mx.metric.Accuracy()
        begun, seen, total = time.perf_counter(), 0, 0.0
        for batch in batches:
            # Also copies the batch from shared memory to the device of the network.
            (images,), (labels,) = (gluon.utils.split_and_load(part, DEVICES) for part in batch)
            with autograd.record():
                outputs = network(images)
                loss = cross_entropy(outputs, labels)
            loss.backward()
            trainer.step(len(images))
            total += loss.mean().asscalar()
            metric.update([labels], [outputs])
            seen += len(images)
        nd.waitall()
        return seen / (time.perf_counter() - begun)

    measure()
    return measure


if __name__ == "__main__":
    serve(set_up, "mxnet", "numpy")
