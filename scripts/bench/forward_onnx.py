"""The forward pass, over ONNX Runtime on torchvision's own export of the same network.

Batches of 16 images of 224 pixels that are in memory, a thread for each core. Ours takes pixels
and gives probabilities, so it normalises and soft-maxes as well: the peer is spared that.
"""

from __future__ import annotations

from harness import Comparison, Side, Target, read_options, run
from onnx_models import BATCH_SIZE, NETWORKS, torchvision_side
from trained_runs import trained_run

ENGINES = (("float32", "exact", Target(1)), ("8-bit integers", "int8", Target(2.5)))


def main() -> None:
    """Compare both engines of both networks."""
    options = read_options(__doc__, images=64, quick_images=BATCH_SIZE)
    rows = []
    for title, theirs, ours, speed in NETWORKS:
        batches = max(1, options.images * speed // BATCH_SIZE)
        path = trained_run(options.cache, ours)
        for kind, engine, target in ENGINES:
            settings = {"run": path, "engine": engine, "batch_size": BATCH_SIZE, "batches": batches}
            rows.append(
                Comparison(
                    f"forward, {title}, {kind}",
                    "images/s",
                    target,
                    torchvision_side(options, theirs, batches),
                    Side(f"fashionai, {ours}", "ours/forward.py", settings),
                )
            )
    run(rows, options)


if __name__ == "__main__":
    main()
