"""The peak of this machine's float32 arithmetic, measured, and what it allows.

The best of products of square matrices by MXNet's oneDNN and by PyTorch, 1 thread and one for
each core; then the images a second that each network could do at that rate and no other cost.
"""

from __future__ import annotations

import os
from typing import Any

from harness import Side, read_options, running, write_results

SIZE, COUNT = 2048, 20
# Multiplications and additions of a forward pass, in 1e9, each pair counted once: those that
# torchvision publishes with its weights. Training is about three times a forward pass.
PAIRS = {"ResNet-18": 1.81, "ResNet-50": 4.09, "MobileNetV2": 0.30}


def main() -> None:
    """Measure and print."""
    options = read_options(__doc__, images=1, quick_images=1)
    settings = {"size": SIZE // 4 if options.quick else SIZE, "count": COUNT}
    best: dict[int, float] = {}
    rows: list[dict[str, Any]] = []
    for threads in sorted({1, len(os.sched_getaffinity(0))}):
        count = {"OMP_NUM_THREADS": str(threads)}
        sides = (
            Side("MXNet", "ours/gemm.py", settings, environment=count),
            Side("PyTorch", "peers/gemm.py", settings, options.peer_python, count),
        )
        for side in sides:
            with running(side) as worker:
                rate = max(worker.measure() for _ in range(options.repetitions))
            print(f"{side.name}, {threads} threads: {rate:.0f} GFLOP/s", flush=True)
            rows.append({"library": side.name, "threads": threads, "gflops": rate})
            best[threads] = max(rate, best.get(threads, 0.0))
    for network, pairs in PAIRS.items():
        forward = max(best.values()) / (2 * pairs)
        print(f"{network}: at most {forward:.0f} images/s forward, {forward / 3:.1f} in training")
    write_results(rows, options)


if __name__ == "__main__":
    main()
