"""The loader alone, compared with torchvision's DataLoader with 2 processes.

Resizes to 256, crops 224 pixels at random and mirrors, from JPEGs of 512 to 800 pixels in batches
of 32.
"""

from __future__ import annotations

from measuring.comparison import Comparison, Target, run_comparisons
from measuring.images import make_images
from measuring.options import read_options
from measuring.side import Side


def main() -> None:
    """Run the comparison."""
    options = read_options(__doc__, images=2000, quick_images=64)
    settings = {"files": make_images(options.cache, options.images), "batch_size": 32}
    comparison = Comparison(
        "loader alone: resize 256, random crop 224, mirror",
        "images/s",
        Target(3),
        Side(
            "torchvision, DataLoader of 2 processes",
            "peers/torchvision_loader.py",
            settings,
            options.peer_python,
        ),
        Side("fashionai", "ours/loader.py", settings),
    )
    run_comparisons([comparison], options)


if __name__ == "__main__":
    main()
