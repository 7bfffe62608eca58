"""Ten-crop prediction with the quantized network, compared with torchvision's in float32.

The networks have the same layers on both sides: resnet18_v1b and resnet50_v1b are torchvision's
resnet18 and resnet50. accuracy_int8.py measures how much accuracy the quantized network loses.
"""

from __future__ import annotations

from measuring.comparison import Target, run_comparisons
from measuring.options import read_options
from measuring.workloads import ten_crops


def main() -> None:
    """Compare both networks."""
    options = read_options(__doc__, images=64, quick_images=16)
    run_comparisons(ten_crops(options, "int8", (Target(3), Target(4))), options)


if __name__ == "__main__":
    main()
