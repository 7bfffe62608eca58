"""The forward pass compared with torchvision's own export of the same network in ONNX Runtime.

Batches of 16 images of 224 pixels are already in memory, and both sides use one thread per core.
Our side takes pixels and returns probabilities, so it also normalises and computes the softmax;
the peer does neither.
"""

from __future__ import annotations

from measuring.comparison import Comparison, Target, run_comparisons
from measuring.onnx_models import BATCH_SIZE, NETWORKS, torchvision_side
from measuring.options import read_options
from measuring.runs import trained_run
from measuring.side import Side

# "exact" stands for the fastest float32 engine on this machine.
ENGINES = (("float32", "exact", Target(1)), ("int8", "int8", Target(2.5)))


def main() -> None:
    """Compare both engines on both networks."""
    options = read_options(__doc__, images=64, quick_images=BATCH_SIZE)
    comparisons = []
    for network in NETWORKS:
        batches = network.batches(options.images)
        path = trained_run(options.cache, network.ours)
        for kind, engine, target in ENGINES:
            settings = {"run": path, "engine": engine, "batch_size": BATCH_SIZE, "batches": batches}
            comparisons.append(
                Comparison(
                    f"forward, {network.title}, {kind}",
                    "images/s",
                    target,
                    torchvision_side(options, network.torchvision, batches),
                    Side(f"fashionai, {network.ours}", "ours/forward.py", settings),
                )
            )
    run_comparisons(comparisons, options)


if __name__ == "__main__":
    main()
