"""This project's ONNX export under ONNX Runtime, over torchvision's export of the same network.

Batches of 16 images of 224 pixels that are in memory, the same ONNX Runtime, a thread for each
core. Ours takes uint8 pixels, normalises and soft-maxes inside the graph; the peer is given
normalised floats and gives logits, so that it computes a little less.
"""

from __future__ import annotations

from harness import Comparison, Target, read_options, run
from onnx_models import BATCH_SIZE, NETWORKS, our_side, torchvision_side


def main() -> None:
    """Compare both networks."""
    options = read_options(__doc__, images=64, quick_images=BATCH_SIZE)
    rows = []
    for title, theirs, ours, speed in NETWORKS:
        batches = max(1, options.images * speed // BATCH_SIZE)
        sides = torchvision_side(options, theirs, batches), our_side(options, ours, batches)
        rows.append(Comparison(f"ONNX export, {title}", "images/s", Target(0.95), *sides))
    run(rows, options)


if __name__ == "__main__":
    main()
