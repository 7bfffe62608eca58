"""The whole training loop, over the same network fed one constant batch.

ResNet-18 v2, batches of 32. One side steps on a batch that stays, with every update; the other runs
an epoch of ``fashionai train``: decoding, augmentation, steps, metrics.
"""

from __future__ import annotations

from harness import Comparison, Side, Target, read_options, run
from sides import our_training


def main() -> None:
    """Compare."""
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
    run([comparison], options)


if __name__ == "__main__":
    main()
