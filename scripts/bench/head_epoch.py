"""An epoch of ``trainable: head`` after the first one, compared with a normal epoch.

ResNet-18 v2, batches of 32, the default augmentation. Both are whole epochs: steps, validation and
the files of the run. The warm-up computes the features of all views.
"""

from __future__ import annotations

import tempfile

from measuring.comparison import Comparison, Target, run_comparisons
from measuring.options import read_options
from measuring.side import Side
from measuring.workloads import our_training


def main() -> None:
    """Run the comparison."""
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
        run_comparisons([comparison], options)


if __name__ == "__main__":
    main()
