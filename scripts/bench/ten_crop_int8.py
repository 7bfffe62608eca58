"""Prediction with ten crops in 8-bit integers, over torchvision's in float32.

The networks are the same layers on both sides: resnet18_v1b and resnet50_v1b are torchvision's
resnet18 and resnet50. What the integers cost in accuracy is told by accuracy_int8.py.
"""

from __future__ import annotations

from harness import Target, read_options, run
from sides import ten_crops


def main() -> None:
    """Compare both networks."""
    options = read_options(__doc__, images=64, quick_images=16)
    run(ten_crops(options, "int8", (Target(3), Target(4))), options)


if __name__ == "__main__":
    main()
