"""Measures how much ImageNet weights help on few images: the study of transfer learning.

usage: scripts/studies/transfer_study.py --data /usr/share/datasets/fashion-mnist --out DIR
                                         [--quick]

Trains MobileNetV2 on 10, 50 and 250 images per class of Fashion-MNIST in three ways: fine-tuned
from ImageNet weights, with ImageNet weights frozen below a new output layer, and from random
weights. Prints a table and draws DIR/transfer_study.png. Takes half an hour on 2 CPU cores. The
weights come from the cache, or else from the package index with pip. With --quick the study runs
on a few images, and its scores mean nothing.

Finished results in DIR/results.json and finished runs below DIR/runs are not trained again.
"""

from __future__ import annotations

import argparse
import functools
import statistics
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from matplotlib.figure import Figure
from study_results import read_results, write_results

from fashionai import (
    Run,
    RunFolder,
    Trainer,
    contexts,
    find_task,
    load_config,
    prepare,
    read_data_set,
)
from fashionai.cli.terminal.progress import log_to_terminal, progress_bar
from fashionai.datasets.prepared.manifest import MANIFEST
from fashionai.datasets.records import DataSet, LabelledImage
from fashionai.errors import DataError, FashionAIError, RunStoppedError
from fashionai.files import atomic_path
from fashionai.scoring.splits import evaluate_run
from fashionai.weights.packages import PACKAGES
from fashionai.weights.pretrained import fetch_from
from fashionai.weights.sources import PackageIndex
from fashionai.weights.store import cached_weights

ROOT = Path(__file__).resolve().parents[2]
NETWORK = "mobilenetv2_1.0"
# The same test images for every seed.
TEST_SEED = 0
TEST_BATCH = 50
PLOT = "transfer_study.png"


class Plan(NamedTuple):
    """What the study compares.

    ``epochs`` maps the number of training images per class to the number of epochs. ``validation``
    and ``test`` are numbers of images per class. Each method tries all learning ``rates`` on
    ``rate_images`` images per class with the first seed, and keeps the rate with the best
    validation accuracy.
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

# What all methods share in addition to configs/fashion_mnist.yaml.
SETTINGS = (
    *(f"model.name={NETWORK}", "data.resize_short=51", "data.crop=48"),
    # null stands for the mean and deviation of the weights; random weights use the same values.
    *("data.mean=null", "data.std=null"),
    # SGD with rate 0.03 destroys the ImageNet weights. With Adam one range of rates suits all
    # methods.
    *("optimizer.name=adam", "schedule.warmup_epochs=0.5"),
    *("batch_size=20", "monitor=accuracy"),
)


class Method(NamedTuple):
    """A training method; ``name`` appears in file names, ``title`` in the table and the plot."""

    name: str
    title: str
    pretrained: bool
    trainable: str


METHODS = (
    Method("fine-tuned", "ImageNet weights, all layers learn", True, "all"),
    Method("frozen", "ImageNet weights, the output layer alone learns", True, "head"),
    Method("scratch", "random weights, all layers learn", False, "all"),
)


class MethodScores(NamedTuple):
    """Test accuracies of a method, one per seed, at the learning rate that validation chose.

    ``images`` is the number of training images per class.
    """

    method: Method
    images: int
    rate: float
    accuracies: list[float]

    @property
    def mean(self) -> float:
        """The mean over the seeds."""
        return statistics.fmean(self.accuracies)

    @property
    def deviation(self) -> float:
        """The sample standard deviation over the seeds; 0 for a single seed."""
        return statistics.stdev(self.accuracies) if len(self.accuracies) > 1 else 0.0


class Study:
    """The runs of a plan below the folder ``out``, and the results that are already known."""

    def __init__(self, plan: Plan, data: Path, out: Path) -> None:
        self.plan, self.data, self.out = plan, data, out
        self._results = read_results(out)

    def scores(self) -> Iterator[MethodScores]:
        """Train the missing runs, and yield the scores by number of images, then by method."""
        rates = {method: self.best_rate(method) for method in METHODS}
        for images in self.plan.epochs:
            for method, rate in rates.items():
                runs = [(method, images, seed, rate) for seed in self.plan.seeds]
                accuracies = [self.result("test", *run) for run in runs]
                yield MethodScores(method, images, rate, accuracies)

    def best_rate(self, method: Method) -> float:
        """The learning rate with the highest validation accuracy; of equal ones the lowest rate."""
        images, seed = self.plan.rate_images, self.plan.seeds[0]
        runs = {rate: (method, images, seed, rate) for rate in self.plan.rates}
        scores = {rate: self.result("validation", *run) for rate, run in runs.items()}
        return max(scores, key=scores.__getitem__)

    def result(self, split: str, method: Method, images: int, seed: int, rate: float) -> float:
        """The accuracy of a run's best epoch; a new one is saved as soon as it is known."""
        name = f"{method.name}-{images}-{seed}-{rate}"
        results = self._results.setdefault(name, {})
        if split not in results:
            begun = time.monotonic()
            run = self._train(name, method, images, seed, rate)
            if split == "validation":
                results[split] = run.metrics["best"]["accuracy"]
            else:
                options = {"crops": 1, "batch_size": TEST_BATCH}
                (evaluation,) = evaluate_run(run, split, contexts("cpu"), **options)
                results[split] = evaluation.scores["accuracy"]
            results[f"{split}_seconds"] = round(time.monotonic() - begun, 1)
            write_results(self.out, self._results)
        return results[split]

    def _train(self, name: str, method: Method, images: int, seed: int, rate: float) -> Run:
        """Train the run of that name, or resume it if it was interrupted."""
        folder = RunFolder(self.out / "runs" / name)
        pretrained = imagenet_weights() if method.pretrained else "false"
        settings = [
            *(*SETTINGS, f"data.folder={self._prepare(images, seed)}", f"seed={seed}"),
            *(f"model.pretrained={pretrained}", f"trainable={method.trainable}"),
            *(f"epochs={self.plan.epochs[images]}", f"optimizer.lr={rate}"),
        ]
        config = load_config(ROOT / "configs/fashion_mnist.yaml", settings)
        begun = Run(folder) if folder.has_begun else None
        if begun is not None:
            begun.check_same_config(config)
        if begun is None or not begun.is_finished:
            folder.path.mkdir(parents=True, exist_ok=True)
            Trainer(config, contexts("cpu"), begun).fit(folder)
        return Run.open(folder.path)

    def _prepare(self, images: int, seed: int) -> Path:
        """The prepared folder with ``images`` training images per class."""
        folder = self.out / f"shares/{images}-{seed}"
        if not (folder / self._source.task.name / MANIFEST).is_file():
            chosen = choose_images(self._source.images, images, self.plan, seed)
            prepare(self._source._replace(images=chosen), folder, progress=progress_bar)
        return folder

    @functools.cached_property
    def _source(self) -> DataSet:
        return read_data_set(find_task("fashion-mnist"), self.data)


def choose_images(
    every: Sequence[LabelledImage], images: int, plan: Plan, seed: int
) -> list[LabelledImage]:
    """Choose training, validation and test images, the same number from each class.

    With the same seed, a larger training set contains the smaller ones and the validation set is
    the same. The test set is the same for all seeds. Raises DataError when a class is too small.
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
    """The ImageNet weights from the package index; fetched unless the cache has them."""
    source = PackageIndex()
    for weights in cached_weights(NETWORK):
        if weights.record.source == PACKAGES[NETWORK].requirement:
            return weights.file
    return fetch_from(source, NETWORK, lambda received: None).file


def print_table(rows: Sequence[MethodScores], seeds: Sequence[int]) -> None:
    """Print one row per number of images and method, as Markdown."""
    columns = ["images per class", "MobileNetV2", "learning rate", "mean", "deviation"]
    columns.append("seeds " + ", ".join(map(str, seeds)))
    print("| " + " | ".join(columns) + " |\n|" + " --- |" * len(columns))
    for row in rows:
        numbers = f"{row.rate} | {row.mean:.4f} | {row.deviation:.4f}"
        each = ", ".join(f"{accuracy:.4f}" for accuracy in row.accuracies)
        print(f"| {row.images} | {row.method.title} | {numbers} | {each} |")


def draw(rows: Sequence[MethodScores], path: Path) -> None:
    """Plot the mean test accuracy over the images per class: one line per method.

    The error bars are one standard deviation.
    """
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
    image_counts = sorted({row.images for row in rows})
    axes.set_xscale("log")
    axes.set_xticks(image_counts, labels=[str(images) for images in image_counts])
    axes.set_xticks([], minor=True)
    axes.set_xlabel("training images per class")
    axes.set_ylabel("test accuracy")
    axes.grid(alpha=0.3)
    axes.legend(fontsize="small", loc="lower right")
    with atomic_path(path) as temporary:
        figure.savefig(temporary, format="png", dpi=120)


def main() -> None:
    """Run the study, print its table as Markdown and draw the plot."""
    parser = argparse.ArgumentParser(usage=(__doc__ or "").split("usage: ")[1])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--quick", action="store_true")
    arguments = parser.parse_args()
    log_to_terminal()
    plan, out = QUICK if arguments.quick else STUDY, arguments.out.resolve()
    try:
        rows = list(Study(plan, arguments.data, out).scores())
    except RunStoppedError as stopped:
        sys.exit(f"transfer_study.py: {stopped.message}. Run the same command again to resume")
    except FashionAIError as error:
        sys.exit(f"transfer_study.py: {error}")
    draw(rows, out / PLOT)
    print_table(rows, plan.seeds)


if __name__ == "__main__":
    main()
