"""Compares training methods, and prints the tables of the documentation.

usage: scripts/studies/training_study.py fashion-mnist|heads --out DIR [--seeds 0,1,2]

fashion-mnist  Schedules, label smoothing, mixup and the average of four folds, on 4,000 training
               images and all 10,000 test images, with the centre crop. Takes half an hour on 2 CPU
               cores. Needs Debian's package dataset-fashion-mnist.
heads          One network with three heads compared with three networks, on the demo data. Takes
               10 minutes.

Finished runs below DIR are not trained again.
"""

from __future__ import annotations

import argparse
import gzip
import json
import statistics
import struct
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
FASHION_MNIST = Path("/usr/share/datasets/fashion-mnist")
TRAINING_ROWS, EPOCHS, FOLDS = 4000, 10, 4
VARIANTS = {
    "constant rate": ["schedule.name=constant"],
    "one-cycle": ["schedule.name=one_cycle"],
    "one-cycle, label smoothing 0.1": ["schedule.name=one_cycle", "loss.label_smoothing=0.1"],
    "one-cycle, mixup 0.2": ["schedule.name=one_cycle", "loss.mixup=0.2"],
}
DEMO_TASKS = ("skirt", "pant", "sleeve")
THREE_NETWORKS, THREE_HEADS = "three, one per task", "one with three heads"
REPETITIONS = 5


def main() -> None:
    """Run a study and print its table as Markdown."""
    parser = argparse.ArgumentParser(usage=(__doc__ or "").split("usage: ")[1])
    parser.add_argument("study", choices=["fashion-mnist", "heads"])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seeds", default="0,1,2")
    arguments = parser.parse_args()
    seeds = [int(seed) for seed in arguments.seeds.split(",")]
    study = study_fashion_mnist if arguments.study == "fashion-mnist" else study_heads
    study(arguments.out.resolve(), seeds)


def study_fashion_mnist(out: Path, seeds: Sequence[int]) -> None:
    """Compare the test accuracy of all variants, of the best fold and of the average of folds."""
    folder = out / "train_valid"
    if not (folder / "fashion-mnist/manifest.csv").is_file():
        shorten(out / "idx")
        fashionai("prepare", "--task", "fashion-mnist", "--data", out / "idx", "--out", folder)
    config = ["--config", ROOT / "configs/fashion_mnist.yaml"]
    common = [f"data.folder={folder}", f"epochs={EPOCHS}", "batch_size=64"]
    common.append("schedule.warmup_epochs=0")
    print_header("trained with", "test accuracy, centre crop", seeds)
    for number, (name, overrides) in enumerate(VARIANTS.items()):
        scores = []
        for seed in seeds:
            run = out / f"runs/{number}-{seed}"
            settings = [*common, *overrides, f"seed={seed}"]
            fashionai("train", *config, "--run", run, "--resume", *settings)
            scores.append(test_accuracy(out, folder, [run]))
        print_row(name, scores)

    best, average = [], []
    for seed in seeds:
        parent = out / f"runs/folds-{seed}"
        settings = [*common, *VARIANTS["one-cycle"], f"seed={seed}"]
        options = ["--folds", str(FOLDS), "--run", parent, "--resume", "--crops", "1"]
        fashionai("cross-validate", *config, *options, *settings)
        # The best fold by its own validation accuracy, which is known before the test.
        scores_of_folds = json.loads((parent / "scores.json").read_text())["folds"]
        accuracies = [fold["fashion-mnist"]["accuracy"] for fold in scores_of_folds]
        member = parent / f"fold-{1 + int(np.argmax(accuracies))}"
        best.append(test_accuracy(out, folder, [member]))
        average.append(test_accuracy(out, folder, [parent]))
    print_row(f"best of {FOLDS} folds, one-cycle", best)
    print_row(f"average of {FOLDS} folds, one-cycle", average)


def study_heads(out: Path, seeds: Sequence[int]) -> None:
    """Compare the mAP on the demo's test labels, and the prediction times for three tasks."""
    data = out / "demo"
    folder = data / "train_valid"
    if not (data / "base/Annotations/label.csv").is_file():
        fashionai("demo", "--out", data)
    for task in DEMO_TASKS:
        fashionai("prepare", "--task", task, "--data", data, "--out", folder)
    print_header("networks", "mAP on the test labels", seeds)
    runs = {}
    for name, groups in {
        THREE_NETWORKS: [[task] for task in DEMO_TASKS],
        THREE_HEADS: [list(DEMO_TASKS)],
    }.items():
        scores = []
        for seed in seeds:
            runs[name] = [train_demo(out, folder, group, seed) for group in groups]
            scores.append(demo_score(out, data, runs[name]))
        print_row(name, scores)
    compare_times(data, runs[THREE_NETWORKS], runs[THREE_HEADS])


def train_demo(out: Path, folder: Path, tasks: Sequence[str], seed: int) -> Path:
    """Train the demo's network on one or several tasks; returns the run."""
    run = out / f"runs/{'-'.join(tasks)}-{seed}"
    settings = [f"task=[{','.join(tasks)}]", f"data.folder={folder}", f"seed={seed}"]
    config = ROOT / "configs/demo.yaml"
    fashionai("train", "--config", config, "--run", run, "--resume", *settings)
    return run


def demo_score(out: Path, data: Path, runs: Sequence[Path]) -> float:
    """The mAP of the runs on the demo's test labels."""
    predictions, scored = out / "predictions.csv", out / "scores.json"
    chosen = [option for run in runs for option in ("--run", run)]
    fashionai("predict", "--out", predictions, "--data", data, *chosen)
    labels = ["--labels", data / "fashionAI_attributes_answer_a_20180428.csv", "--json", scored]
    fashionai("evaluate", "--predictions", predictions, *labels)
    return float(json.loads(scored.read_text())["map"])


def compare_times(data: Path, single: Sequence[Path], heads: Sequence[Path]) -> None:
    """Print the seconds for ten-crop prediction of all test images, as medians of repetitions.

    The alternatives are measured in turn, so that a slow phase of the machine affects all of them.
    """
    from fashionai import Run, contexts, predict_images

    images = sorted((data / "rank/Images").glob("*/*.jpg"))
    alternatives = {
        "one task, its network": single[:1],
        "three tasks, three networks": single,
        "three tasks, one network": heads,
    }
    seconds: dict[str, list[float]] = {name: [] for name in alternatives}
    for _ in range(REPETITIONS):
        for name, paths in alternatives.items():
            begun = time.perf_counter()
            predict_images(images, [Run.open(path) for path in paths], contexts("cpu"))
            seconds[name].append(time.perf_counter() - begun)
    print(f"\nSeconds for {len(images)} images with ten crops\n")
    print("| what | median | fastest | slowest |\n| --- | --- | --- | --- |")
    for name, times in seconds.items():
        numbers = (statistics.median(times), min(times), max(times))
        print(f"| {name} | " + " | ".join(f"{number:.1f}" for number in numbers) + " |")


def test_accuracy(out: Path, folder: Path, runs: Sequence[Path]) -> float:
    """Accuracy of the runs' averaged predictions on the test split, with the centre crop."""
    predictions, scored = out / "predictions.csv", out / "scores.json"
    chosen = [option for run in runs for option in ("--run", run)]
    fashionai("predict", "--out", predictions, "--split", "test", "--crops", "1", *chosen)
    labels = ["--labels", folder / "fashion-mnist", "--json", scored]
    fashionai("evaluate", "--predictions", predictions, *labels)
    return float(json.loads(scored.read_text())["accuracy"])


def shorten(
    folder: Path,
    rows: int = TRAINING_ROWS,
    test_rows: int | None = None,
    source: Path = FASHION_MNIST,
) -> None:
    """Write the first training images, and the first test images or all, as idx files."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, count in (("train", rows), ("t10k", test_rows)):
        for kind, dimensions in (("images-idx3", 3), ("labels-idx1", 1)):
            data = gzip.decompress((source / f"{name}-{kind}-ubyte.gz").read_bytes())
            start = 4 + 4 * dimensions
            shape = struct.unpack(f">{dimensions}I", data[4:start])
            values = np.frombuffer(data, np.uint8, offset=start).reshape(shape)[:count]
            header = data[:4] + struct.pack(f">{dimensions}I", *values.shape)
            (folder / f"{name}-{kind}-ubyte").write_bytes(header + values.tobytes())


def print_header(what: str, score: str, seeds: Sequence[int]) -> None:
    """Print the title and header of a table with one column per seed."""
    print(f"{score}\n")
    print(f"| {what} | mean | deviation | " + " | ".join(f"seed {seed}" for seed in seeds) + " |")
    print("| --- |" + " --- |" * (2 + len(seeds)))


def print_row(name: str, scores: Sequence[float]) -> None:
    """Print one row: mean, standard deviation and the score of each seed."""
    deviation = statistics.stdev(scores) if len(scores) > 1 else 0.0
    numbers = [statistics.fmean(scores), deviation, *scores]
    print(f"| {name} | " + " | ".join(f"{number:.4f}" for number in numbers) + " |", flush=True)


def fashionai(*arguments: str | Path) -> None:
    """Run a command with its output on standard error.

    Raises CalledProcessError when the command fails.
    """
    command = [sys.executable, "-m", "fashionai", *map(str, arguments)]
    subprocess.run(command, check=True, stdout=sys.stderr)


if __name__ == "__main__":
    main()
