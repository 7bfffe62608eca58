"""The peak of this machine's float32 arithmetic, measured, and what it allows.

The best of products of square matrices by MXNet's oneDNN and by PyTorch, 1 thread and one for
each core; then the images a second that each network could do at that rate and no other cost.
"""

from __future__ import annotations

import os

from harness import Side, read_options, running, write_results
from table import table_text

SIZE, COUNT = 2048, 20
# Multiplications and additions of a forward pass, in 1e9, each pair counted once: those that
# torchvision publishes with its weights. Training is about three times a forward pass.
PAIRS = {"ResNet-18": 1.81, "ResNet-50": 4.09, "MobileNetV2": 0.30}


def main() -> None:
    """Measure and print."""
    options = read_options(__doc__, images=1, quick_images=1)
    settings = {"size": SIZE // 4 if options.quick else SIZE, "count": COUNT}
    best, rates = 0.0, []
    for threads in sorted({1, len(os.sched_getaffinity(0))}):
        count = {"OMP_NUM_THREADS": str(threads)}
        for side in (
            Side("MXNet", "ours/gemm.py", settings, environment=count),
            Side("PyTorch", "peers/gemm.py", settings, options.peer_python, count),
        ):
            with running(side) as worker:
                rate = max(worker.measure() for _ in range(options.repetitions))
            rates.append([side.name, str(threads), f"{rate:.0f}"])
            best = max(rate, best)
    bounds = [[name, *map(bound, (best / (2 * p), best / (6 * p)))] for name, p in PAIRS.items()]
    tables = [
        {"title": "peak of float32", "header": ["library", "threads", "GFLOP/s"], "rows": rates},
        {
            "title": "images/s at that peak and no other cost, 224 pixels",
            "header": ["network", "forward", "training"],
            "rows": bounds,
        },
    ]
    for table in tables:
        print(table_text(table))
    write_results(tables, options)


def bound(rate: float) -> str:
    """Images a second with the digits that mean something."""
    return f"{rate:.3g}"


if __name__ == "__main__":
    main()
