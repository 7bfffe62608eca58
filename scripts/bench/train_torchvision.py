"""Training, over a recipe of torchvision.

Batches of 32, the same images, augmentation (resize 256, random crop 224, mirror) and optimizer.
The peer: channels last, a DataLoader of 2 processes. ResNet-50, which takes so much longer, has
fewer images.
"""

from __future__ import annotations

from harness import Comparison, Side, Target, read_options, run
from sides import BATCH_SIZE, our_training, peer_training

ROWS = (
    # name, torchvision's, ours, its share of the images, target
    ("ResNet-18", "resnet18", "resnet18_v2", 1, Target(1.15)),
    ("ResNet-50", "resnet50", "resnet50_v2", 0.4, Target(1)),
)


def main() -> None:
    """Compare both networks."""
    options = read_options(__doc__, images=160, quick_images=64)
    comparisons = []
    for title, theirs, ours, share, target in ROWS:
        images = max(BATCH_SIZE, round(options.images * share) // BATCH_SIZE * BATCH_SIZE)
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
    run(comparisons, options)


if __name__ == "__main__":
    main()
