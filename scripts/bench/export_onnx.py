"""This project's ONNX export compared with torchvision's export of the same network.

Both run in ONNX Runtime with one thread per core, on batches of 16 images of 224 pixels that are
already in memory. Our export takes uint8 pixels, normalises them and computes the softmax inside
the graph. torchvision's takes normalised floats and returns logits, so it computes slightly less.
"""

from __future__ import annotations

from measuring.comparison import Comparison, Target, run_comparisons
from measuring.onnx_models import BATCH_SIZE, NETWORKS, our_side, torchvision_side
from measuring.options import read_options


def main() -> None:
    """Compare both networks."""
    options = read_options(__doc__, images=64, quick_images=BATCH_SIZE)
    comparisons = []
    for network in NETWORKS:
        batches = network.batches(options.images)
        comparisons.append(
            Comparison(
                f"ONNX export, {network.title}",
                "images/s",
                Target(0.95),
                torchvision_side(options, network.torchvision, batches),
                our_side(options, network.ours, batches),
            )
        )
    run_comparisons(comparisons, options)


if __name__ == "__main__":
    main()
