"""The loader alone, compared with torchvision's DataLoader with 2 processes.

Resizes to 256, crops 224 pixels at random and mirrors, from JPEGs of 512 to 800 pixels in batches
of 32; then the same with each augmentation policy, of torchvision's default strength.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from measuring.comparison import Comparison, Target, run_comparisons
from measuring.images import make_images
from measuring.options import read_options
from measuring.side import Side

POLICIES = ("rand_augment", "trivial_augment", "aug_mix")


def main() -> None:
    """Run the comparisons."""
    options = read_options(__doc__, images=2000, quick_images=64)
    settings = {"files": make_images(options.cache, options.images), "batch_size": 32}
    run_comparisons(
        [
            compare(settings, options.peer_python, "", Target(3)),
            *(compare(settings, options.peer_python, each, Target(2)) for each in POLICIES),
        ],
        options,
    )


def compare(settings: dict[str, Any], peer_python: Path, policy: str, target: Target) -> Comparison:
    """The comparison with an augmentation policy, or without one."""
    steps = ["resize 256", "random crop 224", "mirror", *filter(None, [policy])]
    settings = {**settings, "policy": policy}
    peer = "torchvision, DataLoader of 2 processes"
    return Comparison(
        f"loader alone: {', '.join(steps)}",
        "images/s",
        target,
        Side(peer, "peers/torchvision_loader.py", settings, peer_python),
        Side("fashionai", "ours/loader.py", settings),
    )


if __name__ == "__main__":
    main()
