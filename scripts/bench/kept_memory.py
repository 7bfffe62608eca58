"""Training by PyTorch with freed memory that is kept, beside memory that glibc returns at once.

Steps on one constant batch of 32 images of 224 pixels, with random weights. Both sides are this
project; the peer has glibc's default, which an environment variable brings back.
"""

from __future__ import annotations

from measuring.comparison import Comparison, Target, run_comparisons
from measuring.options import read_options
from measuring.side import Side
from measuring.workloads import our_training

NETWORKS = ("mobilenetv2_1.0", "resnet18_v2", "efficientnet_b0")
GLIBC_DEFAULT = {"MALLOC_MMAP_MAX_": "65536"}


def main() -> None:
    """Compare the steps of each network."""
    options = read_options(__doc__, images=64, quick_images=32)
    comparisons = []
    for network in NETWORKS:
        settings = our_training(options.cache, options.images, network, engine="torch")
        settings["measure"] = "step"
        script = "ours/train.py"
        returned = Side("memory returned", script, settings, environment=GLIBC_DEFAULT)
        kept = Side("memory kept", script, settings)
        title = f"steps of {network} by PyTorch, memory kept"
        comparisons.append(Comparison(title, "images/s", Target(1), returned, kept))
    run_comparisons(comparisons, options)


if __name__ == "__main__":
    main()
