"""Prediction with ten crops in 8-bit integers, over torchvision's in float32.

The networks are the same layers on both sides: resnet18_v1b and resnet50_v1b are torchvision's
resnet18 and resnet50. What the integers cost in accuracy is told by accuracy_int8.py.
"""

from __future__ import annotations

from harness import Target, read_options, run
from sides import ten_crop


def main() -> None:
    """Compare both networks; ResNet-50 has half of the images."""
    options = read_options(__doc__, images=64, quick_images=16)
    fewer = options._replace(images=max(1, options.images // 2))
    run(
        [
            ten_crop(options, "resnet18_v1b", "resnet18", "int8", Target(3)),
            ten_crop(fewer, "resnet50_v1b", "resnet50", "int8", Target(4)),
        ],
        options,
    )


if __name__ == "__main__":
    main()
