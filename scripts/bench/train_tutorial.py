"""Training compared with the way that the Gluon tutorials train.

ResNet-18 v2, batches of 32, with the same images and augmentation. The peer was written for this
benchmark after the tutorials: a DataLoader with 2 processes, image.CreateAugmenter on float images,
the default number of threads, hybridize(), and loss and metrics read in every step.
"""

from __future__ import annotations

from measuring.comparison import Comparison, Target, run_comparisons
from measuring.options import read_options
from measuring.side import Side
from measuring.workloads import our_training, peer_training


def main() -> None:
    """Run the comparison."""
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
    run_comparisons([comparison], options)


if __name__ == "__main__":
    main()
