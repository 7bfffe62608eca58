"""How cost grows with threads, batch size, image size, number of classes and number of rows.

Prints tables. The training steps use ResNet-18 v2 on images of 112 pixels, the forward pass
ResNet-18 (v1b) on images of 224 pixels with engine fused. The loader reads JPEGs of one size per
row of its table. The tables of rows measure what prepare, predict and evaluate do apart from
images, which stubs replace; each number of rows runs in a process of its own.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
from collections.abc import Callable, Sequence
from typing import Any

from measuring.images import CLASSES, make_images
from measuring.options import Options, read_options
from measuring.paths import BENCH, ROOT
from measuring.results import markdown_header, markdown_row, write_results
from measuring.runs import prepared, trained_run
from measuring.side import Side, running
from measuring.workloads import our_training

NETWORK, CROP, RESIZE_SHORT = "resnet18_v2", 112, 128
BATCHES, QUICK_BATCHES = (1, 4, 16, 64), (1, 8)
SIDES, QUICK_SIDES = (256, 512, 1024, 1600), (256, 512)
CLASS_COUNTS, QUICK_CLASS_COUNTS = (2, 10, 100, 1000), (2, 10)
ROWS, QUICK_ROWS = (1000, 10_000, 100_000, 1_000_000), (1000, 10_000)
COMMANDS = ("prepare", "predict", "evaluate")


def main() -> None:
    """Measure and print all tables."""
    options = read_options(__doc__, images=64, quick_images=16)
    rows = QUICK_ROWS if options.quick else ROWS
    tables = [
        batch_size_table(options),
        image_size_table(options),
        class_table(options),
        *(row_table(command, rows) for command in COMMANDS),
    ]
    write_results(tables, options)


def batch_size_table(options: Options) -> dict[str, Any]:
    """Training steps and forward passes, with one thread and with one per core."""
    counts = thread_counts()
    columns = [f"{what}, {threads_text(n)}" for what in ("step", "forward") for n in counts]
    return table(
        "images/s by batch size",
        ["batch", *columns],
        QUICK_BATCHES if options.quick else BATCHES,
        lambda size: [
            *(training_step(options, size, n) for n in counts),
            *(forward_pass(options, size, n) for n in counts),
        ],
    )


def image_size_table(options: Options) -> dict[str, Any]:
    """The loader alone, with one thread and with one per core."""
    counts = thread_counts()
    return table(
        "images/s by side length of the JPEGs, loader alone",
        ["pixels", *map(threads_text, counts)],
        QUICK_SIDES if options.quick else SIDES,
        lambda side: [load_images(options, side, n) for n in counts],
    )


def class_table(options: Options) -> dict[str, Any]:
    """The training loop with all cores."""
    return table(
        "images/s by number of classes, training loop",
        ["classes", "images/s"],
        QUICK_CLASS_COUNTS if options.quick else CLASS_COUNTS,
        lambda classes: [training_loop(options, classes)],
    )


def row_table(command: str, counts: Sequence[int]) -> dict[str, Any]:
    """Time and memory of a command; the last column is relative to the first of ``counts``."""
    first_peak: list[float] = []

    def measure(count: int) -> list[Any]:
        seconds, peak = bookkeeping(command, count)
        extra = 1e6 * (peak - first_peak[0]) / (count - counts[0]) if first_peak else None
        first_peak.append(peak)
        return [seconds, 1e6 * seconds / count, peak, extra]

    header = ["rows", "s", "microseconds per row", "peak MB", "extra bytes per row"]
    return table(f"{command}, without images and network", header, counts, measure)


def thread_counts() -> list[int]:
    """1 and the number of cores."""
    return sorted({1, len(os.sched_getaffinity(0))})


def threads_text(threads: int) -> str:
    """A number of threads as the header of a column."""
    return "1 thread" if threads == 1 else f"{threads} threads"


def table(
    title: str, header: Sequence[str], keys: Sequence[int], measure: Callable[[int], list[Any]]
) -> dict[str, Any]:
    """Measure one row per key, and print the table as Markdown while it grows."""
    print(f"\n{title}\n\n{markdown_header(header)}", flush=True)
    rows = []
    for key in keys:
        rows.append([f"{key:,}", *map(number_text, measure(key))])
        print(markdown_row(rows[-1]), flush=True)
    return {"title": title, "header": list(header), "rows": rows}


def number_text(value: Any) -> str:
    """A number with three significant digits, or with all digits before the decimal point."""
    if value is None:
        return "-"
    return f"{value:,.0f}" if value >= 1000 else f"{value:.3g}"


def median_of(options: Options, script: str, settings: dict[str, Any], threads: int) -> float:
    """The median of three measurements of one side, while no other side runs."""
    environment = {"OMP_NUM_THREADS": str(threads)}
    with running(Side("", script, settings, environment=environment)) as process:
        return statistics.median(process.measure() for _ in range(1 if options.quick else 3))


def training_step(options: Options, batch_size: int, threads: int) -> float:
    """Images per second of training on one constant batch."""
    settings = training_settings(options, options.images, CLASSES, batch_size=batch_size)
    return median_of(options, "ours/train.py", {**settings, "measure": "step"}, threads)


def forward_pass(options: Options, batch_size: int, threads: int) -> float:
    """Images per second of an engine on pixels in memory."""
    settings = {
        "run": trained_run(options.cache, "resnet18_v1b"),
        "engine": "fused",
        "batch_size": batch_size,
        "batches": max(1, options.images // batch_size),
    }
    return median_of(options, "ours/forward.py", settings, threads)


def load_images(options: Options, side: int, threads: int) -> float:
    """Images per second of decoding and augmentation."""
    files = make_images(options.cache, 2 * options.images, (side, side))
    settings = {"files": files, "batch_size": 32, "workers": threads}
    return median_of(options, "ours/loader.py", settings, threads)


def training_loop(options: Options, classes: int) -> float:
    """Images per second of the training loop, on at least one image per class."""
    settings = training_settings(options, max(options.images, classes), classes)
    return median_of(options, "ours/train.py", settings, thread_counts()[-1])


def training_settings(options: Options, images: int, classes: int, **more: Any) -> dict[str, Any]:
    """Settings of ours/train.py for small crops; ``more`` holds further configuration keys."""
    settings = our_training(options.cache, images, NETWORK, **more)
    folder = str(prepared(options.cache, images, classes))
    data = {"folder": folder, "crop": CROP, "resize_short": RESIZE_SHORT}
    return {**settings, "config": {**settings["config"], "data": data}}


def bookkeeping(command: str, rows: int) -> tuple[float, float]:
    """Seconds and peak memory in MB of a command whose images and network are stubs."""
    call = [sys.executable, str(BENCH / "ours/bookkeeping.py"), command, str(rows)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    finished = subprocess.run(call, check=True, stdout=subprocess.PIPE, env=environment)
    result = json.loads(finished.stdout)
    return result["seconds"], result["peak_mb"]


if __name__ == "__main__":
    main()
