"""fashionai with a network ``plain`` that has no batch normalisation, in one of several processes.

Writes the number of the process to ``pid-RANK`` in the current folder. $RANK_ONE_ADDS, if set, is
an argument of rank 1 alone. $RANK_ONE_SAVES lets rank 1 want to save the state after
every step. $INTERRUPTED, if set, is a rank that gets SIGINT when its first validation begins.
$SLOW_FILE, if set, is a file of states that takes rank 0 two seconds to write; rank 1 tells whether
it is there when rank 1 ends.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from fashionai.cli import main
from fashionai.frameworks.mxnet import import_mxnet
from fashionai.models.networks.options import of_classes
from fashionai.models.networks.registry import NETWORKS
from fashionai.models.networks.small import TutorialNet
from fashionai.training import trainer
from fashionai.training.batches.inputs import PixelInputs
from fashionai.training.records import checkpoint
from fashionai.training.torch import learner

mx = import_mxnet()
nn = mx.gluon.nn


def plain(classes: int) -> Any:
    """Two convolutions and a dense layer; no layer depends on the other images of a batch."""
    return TutorialNet(
        [
            nn.Conv2D(8, kernel_size=3, strides=2, activation="tanh"),
            nn.Conv2D(16, kernel_size=3, strides=2, activation="tanh"),
            nn.Flatten(),
        ],
        classes,
    )


def normalised(classes: int) -> Any:
    """The same with batch normalisation."""
    return TutorialNet(
        [
            nn.Conv2D(8, kernel_size=3, strides=2),
            nn.BatchNorm(),
            nn.Activation("tanh"),
            nn.Conv2D(16, kernel_size=3, strides=2),
            nn.BatchNorm(),
            nn.Activation("tanh"),
            nn.Flatten(),
        ],
        classes,
    )


class InterruptedInputs(PixelInputs):
    """Images whose validation gets SIGINT."""

    def evaluation(self, *arguments: Any) -> Iterator[Any]:
        """Images, after the signal."""
        os.kill(os.getpid(), signal.SIGINT)
        return super().evaluation(*arguments)


write_arrays = checkpoint._write_arrays


def write_slowly(path: Path, arrays: Any) -> None:
    """Write a file of states on a slow drive."""
    time.sleep(2)
    write_arrays(path, arrays)


if __name__ == "__main__":
    NETWORKS.update(plain=of_classes(plain), normalised=of_classes(normalised))
    arguments = sys.argv[1:]
    rank = os.environ.get("RANK", "0")
    Path(f"pid-{rank}").write_text(str(os.getpid()))
    if rank == "1" and "RANK_ONE_ADDS" in os.environ:
        arguments.append(os.environ["RANK_ONE_ADDS"])
    if rank == "1" and "RANK_ONE_SAVES" in os.environ:
        trainer.SECONDS_BETWEEN_SAVES = 0.0
    if rank == os.environ.get("INTERRUPTED"):
        learner.PixelInputs = InterruptedInputs
    slow_file = os.environ.get("SLOW_FILE")
    if rank == "0" and slow_file:
        checkpoint._write_arrays = write_slowly
    try:
        main(arguments)
    finally:
        if rank == "1" and slow_file:
            print("the state is there:", Path(slow_file).is_file())
