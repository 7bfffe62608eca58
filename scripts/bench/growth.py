"""How cost grows: with threads, batch, size of images, classes and rows. Prints tables.

Steps: ResNet-18 v2 on images of 112 pixels. Forward: ResNet-18 (v1b) on 224 pixels, engine fused.
Loader: one batch size, JPEGs of one size. Rows: what prepare, predict and evaluate do
beside images, which stubs replace, each number of rows in a process of its own.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
from collections.abc import Callable, Sequence
from typing import Any

from harness import (
    HERE,
    ROOT,
    Options,
    Side,
    markdown_header,
    markdown_row,
    read_options,
    running,
    write_results,
)
from images import CLASSES, make_images, prepared
from sides import our_training
from trained_runs import trained_run

NETWORK, CROP, RESIZE_SHORT = "resnet18_v2", 112, 128
BATCHES, QUICK_BATCHES = (1, 4, 16, 64), (1, 8)
SIDES, QUICK_SIDES = (256, 512, 1024, 1600), (256, 512)
CLASS_COUNTS, QUICK_CLASS_COUNTS = (2, 10, 100, 1000), (2, 10)
ROWS, QUICK_ROWS = (1000, 10_000, 100_000, 1_000_000), (1000, 10_000)


def main() -> None:
    """Measure and print every table."""
    options = read_options(__doc__, images=64, quick_images=16)
    thread_counts = sorted({1, len(os.sched_getaffinity(0))})
    tables = [
        table(
            "images/s by batch size",
            [
                "batch",
                *(f"{what}, {counted(n)}" for what in ("step", "forward") for n in thread_counts),
            ],
            QUICK_BATCHES if options.quick else BATCHES,
            lambda size: [
                *(step(options, size, n) for n in thread_counts),
                *(forward(options, size, n) for n in thread_counts),
            ],
        ),
        table(
            "images/s by the sides of JPEGs, loader alone",
            ["pixels", *map(counted, thread_counts)],
            QUICK_SIDES if options.quick else SIDES,
            lambda side: [load(options, side, n) for n in thread_counts],
        ),
        table(
            "images/s by the number of classes, training loop",
            ["classes", "images/s"],
            QUICK_CLASS_COUNTS if options.quick else CLASS_COUNTS,
            lambda classes: [learn(options, classes)],
        ),
        *rows_tables(QUICK_ROWS if options.quick else ROWS),
    ]
    write_results(tables, options)


def counted(threads: int) -> str:
    """A number of threads in words."""
    return "1 thread" if threads == 1 else f"{threads} threads"


def table(
    title: str, header: Sequence[str], keys: Sequence[int], measure: Callable[[int], list[Any]]
) -> dict[str, Any]:
    """Measure a row for every key, and print it as Markdown."""
    print(f"\n{title}\n\n{markdown_header(header)}", flush=True)
    rows = []
    for key in keys:
        rows.append([f"{key:,}", *(text(value) for value in measure(key))])
        print(markdown_row(rows[-1]), flush=True)
    return {"title": title, "header": list(header), "rows": rows}


def text(value: Any) -> str:
    """Three digits that count."""
    if value is None:
        return "-"
    return f"{value:,.0f}" if value >= 1000 else f"{value:.3g}"


def figure(options: Options, script: str, settings: dict[str, Any], threads: int) -> float:
    """The median of a side that is alone."""
    count = {"OMP_NUM_THREADS": str(threads)}
    with running(Side("", script, settings, environment=count)) as worker:
        return statistics.median(worker.measure() for _ in range(1 if options.quick else 3))


def step(options: Options, batch_size: int, threads: int) -> float:
    """Training on one batch that stays."""
    settings = training(options, options.images, CLASSES, batch_size=batch_size)
    return figure(options, "ours/train.py", {**settings, "measure": "step"}, threads)


def forward(options: Options, batch_size: int, threads: int) -> float:
    """An engine on pixels that are there."""
    settings = {
        "run": trained_run(options.cache, "resnet18_v1b"),
        "engine": "fused",
        "batch_size": batch_size,
        "batches": max(1, options.images // batch_size),
    }
    return figure(options, "ours/forward.py", settings, threads)


def load(options: Options, side: int, threads: int) -> float:
    """Decoding and augmentation."""
    files = make_images(options.cache, 2 * options.images, (side, side))
    settings = {"files": files, "batch_size": 32, "workers": threads}
    return figure(options, "ours/loader.py", settings, threads)


def learn(options: Options, classes: int) -> float:
    """The training loop, with an image of each class or more."""
    settings = training(options, max(options.images, classes), classes)
    return figure(options, "ours/train.py", settings, len(os.sched_getaffinity(0)))


def training(options: Options, images: int, classes: int, **more: Any) -> dict[str, Any]:
    """For ours/train.py, on small images."""
    settings = our_training(options.cache, images, NETWORK, **more)
    folder = str(prepared(options.cache, images, classes))
    data = {"folder": folder, "crop": CROP, "resize_short": RESIZE_SHORT}
    return {**settings, "config": {**settings["config"], "data": data}}


def rows_tables(counts: Sequence[int]) -> list[dict[str, Any]]:
    """Seconds and memory of each command's bookkeeping."""
    tables = []
    for command in ("prepare", "predict", "evaluate"):
        smallest: list[float] = []

        def measure(count: int, command: str = command, smallest: list[float] = smallest) -> list:
            seconds, peak = bookkeeping(command, count)
            smallest.append(peak)
            grown = 1e6 * (peak - smallest[0]) / (count - counts[0]) if len(smallest) > 1 else None
            return [seconds, 1e6 * seconds / count, peak, grown]

        header = ["rows", "s", "microseconds a row", "peak MB", "bytes a row more"]
        tables.append(table(f"{command}, images and network left out", header, counts, measure))
    return tables


def bookkeeping(command: str, rows: int) -> tuple[float, float]:
    """Seconds and peak memory in MB."""
    words = [sys.executable, str(HERE / "ours/bookkeeping.py"), command, str(rows)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    finished = subprocess.run(words, check=True, stdout=subprocess.PIPE, env=environment)
    result = json.loads(finished.stdout)
    return result["seconds"], result["peak_mb"]


if __name__ == "__main__":
    main()
