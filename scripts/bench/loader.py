"""The loader alone, over torchvision's DataLoader with 2 processes.

Resize to 256, random crop of 224, mirror, from JPEGs of 512 to 800 pixels, batches of 32.
"""

from __future__ import annotations

from harness import Comparison, Side, Target, read_options, run
from images import make_images


def main() -> None:
    """Compare."""
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
    run([comparison], options)


if __name__ == "__main__":
    main()
