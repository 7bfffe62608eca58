"""An epoch of ``trainable: head`` after the first, over a normal epoch.

ResNet-18 v2, batches of 32. Both are whole epochs: steps, validation, the files of the run.
"""

from __future__ import annotations

from harness import Comparison, Side, Target, read_options, run
from sides import our_training


def main() -> None:
    """Compare."""
    options = read_options(__doc__, images=256, quick_images=64)
    sides = {}
    for trainable in ("all", "head"):
        settings = our_training(options.cache, options.images, "resnet18_v2", trainable=trainable)
        sides[trainable] = {**settings, "measure": "whole"}
    comparison = Comparison(
        "an epoch of trainable: head after the first, ResNet-18 v2",
        "images/s",
        Target(30),
        Side("a normal epoch", "ours/train.py", sides["all"]),
        Side("fashionai, trainable: head", "ours/train.py", sides["head"]),
    )
    run([comparison], options)


if __name__ == "__main__":
    main()
