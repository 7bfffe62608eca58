"""The whole training loop compared with steps of the same network on one constant batch.

ResNet-18 v2, batches of 32. One side repeats forward pass, backward pass and update on the same
batch. The other side runs an epoch of ``fashionai train``: decoding, augmentation, steps, metrics.
"""

from __future__ import annotations

from measuring.comparison import Comparison, Target, run_comparisons
from measuring.options import read_options
from measuring.side import Side
from measuring.workloads import our_training


def main() -> None:
    """Run the comparison."""
    options = read_options(__doc__, images=256, quick_images=64)
    settings = our_training(options.cache, options.images, "resnet18_v2")
    comparison = Comparison(
        "training: the whole loop, ResNet-18 v2",
        "images/s",
        Target(0.95),
        Side(
            "the same network on one constant batch",
            "ours/train.py",
            {**settings, "measure": "step"},
        ),
        Side("fashionai", "ours/train.py", settings),
    )
    run_comparisons([comparison], options)


if __name__ == "__main__":
    main()
