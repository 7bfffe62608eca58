"""Ten-crop prediction in float32 compared with torchvision's, from JPEG files to probabilities.

The networks have the same layers on both sides: resnet18_v1b and resnet50_v1b are torchvision's
resnet18 and resnet50. Our side uses the fastest float32 engine on this machine.
"""

from __future__ import annotations

from measuring.comparison import Target, run_comparisons
from measuring.options import read_options
from measuring.workloads import ten_crops


def main() -> None:
    """Compare both networks."""
    options = read_options(__doc__, images=64, quick_images=16)
    run_comparisons(ten_crops(options, "exact", (Target(1.6), Target(1.6))), options)


if __name__ == "__main__":
    main()
