"""Training compared with torchvision's recipe.

Batches of 32, with the same images, augmentation (resize 256, random crop 224, mirror) and
optimizer. The peer uses channels last and a DataLoader with 2 processes. ResNet-50 trains on half
of the images.
"""

from __future__ import annotations

from measuring.comparison import Comparison, Target, run_comparisons
from measuring.options import read_options
from measuring.side import Side
from measuring.workloads import our_training, peer_training

# Title, torchvision's network, ours, divisor of the number of images, target.
NETWORKS = (
    ("ResNet-18", "resnet18", "resnet18_v2", 1, Target(1.15)),
    ("ResNet-50", "resnet50", "resnet50_v2", 2, Target(1)),
)


def main() -> None:
    """Compare both networks."""
    options = read_options(__doc__, images=256, quick_images=64)
    comparisons = []
    for title, theirs, ours, divisor, target in NETWORKS:
        images = options.images // divisor
        comparisons.append(
            Comparison(
                f"training, {title}",
                "images/s",
                target,
                Side(
                    f"torchvision, {theirs}",
                    "peers/torchvision_train.py",
                    peer_training(options.cache, images, theirs),
                    options.peer_python,
                ),
                Side(
                    f"fashionai, {ours}",
                    "ours/train.py",
                    our_training(options.cache, images, ours),
                ),
            )
        )
    run_comparisons(comparisons, options)


if __name__ == "__main__":
    main()
