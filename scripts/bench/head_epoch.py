"""An epoch of ``trainable: head`` after the first, over a normal epoch.

ResNet-18 v2, batches of 32, the default augmentation. Both are whole epochs: steps, validation, the
files of the run. The features of all views are computed in the warm-up.
"""

from __future__ import annotations

import tempfile

from harness import Comparison, Side, Target, read_options, run
from sides import our_training


def main() -> None:
    """Compare."""
    options = read_options(__doc__, images=256, quick_images=64)
    settings = {
        trainable: {
            **our_training(options.cache, options.images, "resnet18_v2", trainable=trainable),
            "measure": "whole",
        }
        for trainable in ("all", "head")
    }
    with tempfile.TemporaryDirectory() as home:
        comparison = Comparison(
            "an epoch of trainable: head after the first, ResNet-18 v2",
            "images/s",
            Target(30),
            Side("a normal epoch", "ours/train.py", settings["all"]),
            Side(
                "fashionai, trainable: head",
                "ours/train.py",
                settings["head"],
                environment={"FASHIONAI_HOME": home},
            ),
        )
        run([comparison], options)


if __name__ == "__main__":
    main()
