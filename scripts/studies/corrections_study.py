"""Measures what accepting suspect labels is worth to a network, on Fashion-MNIST.

usage: scripts/studies/corrections_study.py --out DIR [--rows 10000] [--seeds 0,1,2]

Of the first rows of Fashion-MNIST (Debian's dataset-fashion-mnist) 5 % of the labels are changed,
to any other class or to the class that is most often confused with the right one. fashionai does
the rest, by its commands: prepare, cross-validate (4 folds), inspect, prepare --corrections, and
train before and after. The corrections accept the suggestions for as many suspects as labels were
changed; in a third set, a person who knows the right label decides on the same suspects. The
network is small_cnn on images of 14 pixels, which trains in a minute. Prints the accuracy on all
10,000 test images with the centre crop, and the share of the changed labels among the suspects.

Finished steps below DIR are not done again, and DIR/accuracies.csv keeps finished rows.
DIR/<kind>.npz has labels, out-of-fold probabilities and changed rows, for other methods.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import itertools
import statistics
import struct
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from inspection_study import FASHION_MNIST, change_labels, read_fashion_mnist

import fashionai
from fashionai.cli import main as run_fashionai
from fashionai.datasets.prepared.folders import read_task
from fashionai.inspection.findings import LABEL, read_findings
from fashionai.inspection.held_out import predicted_out_of_fold
from fashionai.tasks import Task

TASK, KINDS = "fashion-mnist", ("uniform", "confusable")
# Which labels a network is trained with.
CHANGED, ACCEPTED, DECIDED = "changed", "suggestions accepted", "a person decides"
FOLD_EPOCHS, EPOCHS = 3, 4
SETTINGS = [
    *("data.crop=14", "data.resize_short=15", "data.workers=1"),
    *("batch_size=64", "schedule.warmup_epochs=0", "monitor=last"),
]


def command(*arguments: object) -> None:
    """Run a command of fashionai in this process; it has to succeed."""
    try:
        run_fashionai([str(argument) for argument in arguments])
    except SystemExit as stop:
        if stop.code:
            raise


class Study:
    """One kind of changed labels, in a folder of its own."""

    def __init__(self, out: Path, kind: str, rows: int) -> None:
        self.folder, self.kind = out / kind, kind
        _, self.truth = read_fashion_mnist(rows)
        self.given, self.is_changed = change_labels(self.truth, kind, np.random.default_rng(0))
        self.idx, self.folds = self.folder / "idx", self.folder / "folds"

    def prepared(self, labels: str) -> Path:
        """The folder of the prepared tasks with these labels."""
        return self.folder / f"prepared-{labels.replace(' ', '-')}"

    def prepare(self, labels: str) -> Path:
        """Prepare the task with these labels, unless that is done; returns the folder."""
        out = self.prepared(labels)
        if not (out / TASK / "manifest.csv").is_file():
            arguments = ["--task", TASK, "--data", self.idx, "--out", out]
            if labels != CHANGED:
                file = self.folder / f"{labels.replace(' ', '-')}.csv"
                self.write_corrections(file, labels)
                arguments += ["--corrections", file]
            command("prepare", *arguments, "--near-duplicates", "ignore")
        return out

    def find_suspects(self) -> None:
        """Write the changed labels, prepare them, and find suspects by a cross-validation."""
        if not self.idx.is_dir():
            write_idx(self.idx, self.given)
        data = self.prepare(CHANGED)
        if not (self.folds / "out_of_fold.csv").is_file():
            options = ["--folds", "4", "--crops", "1", "--run", self.folds, "--resume"]
            settings = [*SETTINGS, f"data.folder={data}", f"epochs={FOLD_EPOCHS}"]
            command("cross-validate", "--config", "fashion_mnist", *options, *settings)
        findings = self.folder / "findings.csv"
        if not findings.is_file():
            options = ["--folder", data, "--folds", self.folds, "--out", findings]
            command("inspect", "--task", TASK, *options)
        held_out = predicted_out_of_fold(self.folds, self.task(), data / TASK)
        order = np.argsort([row_of(source) for source in held_out.images])
        probabilities = held_out.probabilities[order]
        file = self.folder.with_suffix(".npz")
        np.savez(file, labels=self.given, probabilities=probabilities, changed=self.is_changed)

    def suspects(self) -> list[tuple[str, str, str]]:
        """Source, label and suggestion of the suspects, the least credible label first."""
        findings = read_findings(self.folder / "findings.csv")
        return [(each.path, each.label, each.suggested) for each in findings if each.kind == LABEL]

    def write_corrections(self, file: Path, labels: str) -> None:
        """Write corrections of as many suspects as labels were changed."""
        classes = self.task().classes
        with open(file, "w", newline="", encoding="utf-8") as handle:
            writer = csv.writer(handle)
            writer.writerow(["path", "action", "old_label", "new_label", "reason", "date"])
            for source, label, suggested in self.suspects()[: self.is_changed.sum()]:
                new = suggested if labels == ACCEPTED else classes[self.truth[row_of(source)]]
                if new == label:
                    writer.writerow([source, "keep", label, "", "", ""])
                else:
                    writer.writerow([source, "correct", label, new, "suspect label", ""])

    def task(self) -> Task:
        """The task as it was prepared."""
        return read_task(self.prepared(CHANGED) / TASK)

    def share_found(self) -> tuple[float, int]:
        """The share of the changed labels among as many suspects, and the number of suspects."""
        suspects, wanted = self.suspects(), int(self.is_changed.sum())
        found = sum(bool(self.is_changed[row_of(source)]) for source, *_ in suspects[:wanted])
        return found / wanted, len(suspects)

    def train_and_test(self, labels: str, seed: int) -> float:
        """Train with these labels; returns the accuracy on the test images."""
        data, run = self.prepare(labels), self.folder / f"run-{labels.replace(' ', '-')}-{seed}"
        settings = [*SETTINGS, f"data.folder={data}", f"epochs={EPOCHS}", f"seed={seed}"]
        command("train", "--config", "fashion_mnist", "--run", run, "--resume", *settings)
        (scored,) = fashionai.evaluate(run, "test", crops=1, engine="fused").itertuples()
        return float(scored.accuracy)


def row_of(source: str) -> int:
    """The row of the IDX file that a source of the manifest names."""
    return int("".join(filter(str.isdigit, Path(source).stem)))


def write_idx(folder: Path, labels: np.ndarray) -> None:
    """Write the first rows of Fashion-MNIST with these labels, and all test images."""
    folder.mkdir(parents=True)
    images, named = "train-images-idx3-ubyte.gz", "train-labels-idx1-ubyte.gz"
    pixels = gzip.decompress((FASHION_MNIST / images).read_bytes())[16 : 16 + 784 * len(labels)]
    header = struct.pack(">4I", 2051, len(labels), 28, 28)
    (folder / images).write_bytes(gzip.compress(header + pixels, 1))
    header = struct.pack(">2I", 2049, len(labels))
    (folder / named).write_bytes(gzip.compress(header + labels.astype(np.uint8).tobytes(), 1))
    for file in FASHION_MNIST.glob("t10k*"):
        (folder / file.name).symlink_to(file)


def finished_rows(file: Path) -> dict[tuple[str, str, int], float]:
    """The accuracies of earlier starts, by kind, labels and seed."""
    if not file.is_file():
        return {}
    with open(file, newline="", encoding="utf-8") as handle:
        return {(row[0], row[1], int(row[2])): float(row[3]) for row in csv.reader(handle)}


def run_study(out: Path, rows: int, seeds: Sequence[int]) -> None:
    """Train and test what is not finished, and print the tables as Markdown."""
    studies = {kind: Study(out, kind, rows) for kind in KINDS}
    file = out / "accuracies.csv"
    for labels, seed, kind in itertools.product((CHANGED, ACCEPTED, DECIDED), seeds, KINDS):
        if (kind, labels, seed) not in finished_rows(file):
            studies[kind].find_suspects()
            accuracy = studies[kind].train_and_test(labels, seed)
            with open(file, "a", newline="", encoding="utf-8") as handle:
                csv.writer(handle).writerow([kind, labels, seed, accuracy])
    found = finished_rows(file)
    print("\n| changed to | suspects | found |\n| --- | --- | --- |")
    for study in studies.values():
        share, suspects = study.share_found()
        print(f"| {study.kind} | {suspects:,} | {share:.3f} |")
    print("\n| changed to | trained with | mean | seeds |\n| --- | --- | --- | --- |")
    for kind in KINDS:
        for labels in (CHANGED, ACCEPTED, DECIDED):
            scores = [found[kind, labels, seed] for seed in seeds]
            each = ", ".join(f"{score:.4f}" for score in scores)
            print(f"| {kind} | {labels} | {statistics.mean(scores):.4f} | {each} |")


def main() -> None:
    """Run the study."""
    parser = argparse.ArgumentParser(usage=(__doc__ or "").split("usage: ")[1].replace("%", "%%"))
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--rows", type=int, default=10_000)
    parser.add_argument("--seeds", default="0,1,2")
    given = parser.parse_args()
    run_study(given.out.resolve(), given.rows, [int(seed) for seed in given.seeds.split(",")])


if __name__ == "__main__":
    main()
