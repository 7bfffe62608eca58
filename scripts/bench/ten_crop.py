"""Prediction with ten crops in float32, over torchvision's: from JPEG files to probabilities.

The networks are the same layers on both sides: resnet18_v1b and resnet50_v1b are torchvision's
resnet18 and resnet50. Ours uses the fastest exact engine on this machine.
"""

from __future__ import annotations

from harness import Target, read_options, run
from sides import ten_crops


def main() -> None:
    """Compare both networks."""
    options = read_options(__doc__, images=64, quick_images=16)
    run(ten_crops(options, "exact", (Target(1.6), Target(1.6))), options)


if __name__ == "__main__":
    main()
