"""Training, over the way of the Gluon tutorials.

ResNet-18 v2, batches of 32, the same images and augmentation. The peer is written afresh as the
tutorials do it: a DataLoader of 2 processes, image.CreateAugmenter on float images, default
threads, hybridize(), loss and metrics read back in every step.
"""

from __future__ import annotations

from harness import Comparison, Side, Target, read_options, run
from sides import our_training, peer_training


def main() -> None:
    """Compare."""
    options = read_options(__doc__, images=256, quick_images=64)
    network = "resnet18_v2"
    comparison = Comparison(
        "training, ResNet-18 v2",
        "images/s",
        Target(1.7),
        Side(
            "the tutorial's way, Gluon",
            "peers/gluon_train.py",
            peer_training(options.cache, options.images, network),
        ),
        Side("fashionai", "ours/train.py", our_training(options.cache, options.images, network)),
    )
    run([comparison], options)


if __name__ == "__main__":
    main()
