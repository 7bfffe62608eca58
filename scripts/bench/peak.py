"""The highest float32 rate of this machine, and the images per second that it would allow.

Multiplies square matrices with MXNet's oneDNN and with PyTorch, with one thread and with one per
core, and takes the best rate. The second table divides it by the operations per image of each
network, as if nothing else cost time.
"""

from __future__ import annotations

import os

from measuring.options import read_options
from measuring.results import table_text, write_results
from measuring.side import Side, running

SIZE, COUNT = 2048, 20
# Multiply-add operations of a forward pass, in 1e9 per image, as torchvision publishes them with
# its weights. Each is two floating-point operations. Training costs about three forward passes.
MULTIPLY_ADDS = {"ResNet-18": 1.81, "ResNet-50": 4.09, "MobileNetV2": 0.30}


def main() -> None:
    """Measure the rates and print both tables."""
    options = read_options(__doc__, images=1, quick_images=1)
    settings = {"size": SIZE // 4 if options.quick else SIZE, "count": COUNT}
    best, rates = 0.0, []
    for threads in sorted({1, len(os.sched_getaffinity(0))}):
        environment = {"OMP_NUM_THREADS": str(threads)}
        for side in (
            Side("MXNet", "ours/gemm.py", settings, environment=environment),
            Side("PyTorch", "peers/gemm.py", settings, options.peer_python, environment),
        ):
            with running(side) as process:
                rate = max(process.measure() for _ in range(options.repetitions))
            rates.append([side.name, str(threads), f"{rate:.0f}"])
            best = max(rate, best)
    tables = [
        {"title": "peak of float32", "header": ["library", "threads", "GFLOP/s"], "rows": rates},
        {
            "title": "images/s at that peak and no other cost, 224 pixels",
            "header": ["network", "forward", "training"],
            "rows": [[name, *bounds(best, count)] for name, count in MULTIPLY_ADDS.items()],
        },
    ]
    for table in tables:
        print(table_text(table))
    write_results(tables, options)


def bounds(rate: float, multiply_adds: float) -> list[str]:
    """Images per second of forward pass and training at ``rate`` GFLOP/s, in three digits."""
    return [f"{rate / (2 * multiply_adds):.3g}", f"{rate / (6 * multiply_adds):.3g}"]


if __name__ == "__main__":
    main()
