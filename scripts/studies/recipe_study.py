"""Compares parts of recipes at an equal number of training steps, and prints a table.

usage: scripts/studies/recipe_study.py fashion-mnist|drawings --out DIR [--rows 4000]
                                       [--test-rows N] [--epochs N] [--seeds 0,1,2] [--minutes M]

fashion-mnist  The first ROWS training images, a tenth of them for validation; the next ROWS are
               unlabelled. Needs Debian's package dataset-fashion-mnist. --rows 60000 has no
               images left for pseudo-labels.
drawings       Five kinds of colour drawings of Debian's package openclipart-png: 25 % of each kind
               are for training, 5 % for validation, 30 % for the test, and 40 % unlabelled.

small_cnn starts from random weights. Every network that is scored was trained for as many steps
as the default; what a recipe trains besides (folds, branches) is in the column "cost", in
trainings of the default. Finished rows are in DIR/rows.csv and are not computed again: after
--minutes the study ends between two rows, and the same command goes on.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
from first_hour_study import copy_picture
from training_study import FASHION_MNIST, print_row, shorten

from fashionai import contexts, load_config, prepare
from fashionai.cli.terminal.progress import log_to_terminal, progress_bar
from fashionai.cross_validation import open_cross_validation
from fashionai.datasets.prepared.folders import read_split
from fashionai.datasets.prepared.manifest import MANIFEST
from fashionai.datasets.pseudo_labels import write_pseudo_labels
from fashionai.datasets.reading import read_data_set, read_own_folders
from fashionai.datasets.records import DataSet
from fashionai.errors import FashionAIError, RunStoppedError
from fashionai.families import find_known_task
from fashionai.files import write_text
from fashionai.files.formats.csv_files import write_rows
from fashionai.predictions.plan import plan_questions
from fashionai.predictions.pseudo_labelling import pseudo_label
from fashionai.predictions.run_choice import Candidates
from fashionai.runs import Run
from fashionai.scoring.splits import evaluate_run
from fashionai.soup import make_soup
from fashionai.training.start import train

COLUMNS = ("recipe", "seed", "accuracy", "cost")
KINDS = ("office", "people", "plants", "tools", "transportation")
PICTURES = Path("/usr/share/openclipart/png")
SHARES = {"test": 0.3, "val": 0.05, "train": 0.25}  # the rest is unlabelled
FOLDS, BRANCHES, MIN_PROBABILITY = 4, 3, 0.95
CONFIG = """\
task: {task}
model: {{name: small_cnn, pretrained: false}}
data: {{folder: {folder}, resize_short: {resized}, crop: {crop}}}
epochs: {epochs}
batch_size: 64
optimizer: {{name: sgd, lr: 0.1, momentum: 0.9, weight_decay: 5e-4}}
schedule: {{name: one_cycle}}
engine: gluon
"""
POLICIES = {
    "default (random_crop, mirror)": [],
    "RandAugment": ["data.augment=[random_crop, mirror, rand_augment]"],
    "TrivialAugment": ["data.augment=[random_crop, mirror, trivial_augment]"],
}
DISTILLED, SOUP, PSEUDO = "distilled from four folds", "soup of three", "pseudo-labels"
# How images are predicted.
ONE_CROP: dict[str, Any] = {"crops": 1, "batch_size": 64, "engine": "gluon"}
RECIPES = (*POLICIES, DISTILLED, SOUP, PSEUDO)


class Task(NamedTuple):
    """A task to compare recipes on; ``unlabelled`` is a folder of images, if there are any."""

    name: str
    crop: int
    epochs: int
    data_set: Callable[[], DataSet]
    unlabelled: Path


class Result(NamedTuple):
    """The test accuracy of a recipe, and its cost in trainings of the default."""

    accuracy: float
    cost: float


class Study:
    """The rows of one task below the folder ``out``."""

    def __init__(self, task: Task, out: Path, epochs: int) -> None:
        self.task, self.out, self.epochs = task, out, epochs
        self._rows_file = out / "rows.csv"
        self.results: dict[tuple[str, int], Result] = {}
        if self._rows_file.is_file():
            with open(self._rows_file, newline="", encoding="utf-8") as handle:
                for row in csv.DictReader(handle):
                    key = row["recipe"], int(row["seed"])
                    self.results[key] = Result(float(row["accuracy"]), float(row["cost"]))

    def compute(self, recipes: Sequence[str], seeds: Sequence[int], until: float) -> bool:
        """Compute the rows that are missing; False when time was up before the last one."""
        for seed in seeds:
            for recipe in recipes:
                if (recipe, seed) in self.results:
                    continue
                if time.monotonic() > until:
                    return False
                self.results[recipe, seed] = self._result(recipe, seed)
                rows = [(*key, *result) for key, result in self.results.items()]
                write_rows(self._rows_file, [COLUMNS, *rows])
        return True

    def _result(self, recipe: str, seed: int) -> Result:
        if recipe == DISTILLED:
            return self._distilled(seed)
        if recipe == SOUP:
            return self._soup(seed)
        if recipe == PSEUDO:
            return self._pseudo_labelled(seed)
        run = self._train(f"{list(POLICIES).index(recipe)}-{seed}", seed, *POLICIES[recipe])
        return Result(self._accuracy(run), 1)

    def _distilled(self, seed: int) -> Result:
        folder = self.out / f"runs/folds-{seed}"
        settings = {"folds": FOLDS, "crops": 1}
        options = [f"epochs={self.epochs}", f"seed={seed}"]
        validation = open_cross_validation(
            self._config(self._prepared()),
            options,
            settings,
            folder,
            "cpu",
            [],
            progress_bar,
            resume=folder.exists(),
        )
        validation.run(progress_bar, batch_size=64)
        teacher = f"data.soft_targets={validation.predictions_file}"
        run = self._train(f"distilled-{seed}", seed, teacher)
        return Result(self._accuracy(run), 1 + FOLDS - 1)

    def _soup(self, seed: int) -> Result:
        """Half of the epochs in common, then a branch of the other half for each ingredient."""
        half = f"epochs={self.epochs // 2}"
        start = self._train(f"trunk-{seed}", seed, half)
        begin = f"model.pretrained={start.folder.best_parameters}"
        branches = [
            self._train(f"branch{number}-{seed}", 100 * seed + number, half, begin)
            for number in range(1, BRANCHES + 1)
        ]
        out = self.out / f"runs/soup-{seed}"
        make_soup([each.path for each in branches], out, contexts("cpu"), overwrite=True)
        return Result(self._accuracy(Run.open(out)), (1 + BRANCHES) / 2)

    def _pseudo_labelled(self, seed: int) -> Result:
        """The labels are those of the default's run, the epochs fewer for as many steps."""
        teacher = self._train(f"0-{seed}", seed)
        images = self.task.unlabelled
        plan = plan_questions(images, images, [], Candidates.open([teacher]), as_table=True)
        chosen = pseudo_label(plan, contexts("cpu"), min_probability=MIN_PROBABILITY, **ONE_CROP)
        file = self.out / f"pseudo-{seed}.csv"
        write_pseudo_labels(file, chosen.labels)
        folder = self._prepared(f"pseudo-{seed}", file)
        labelled = len(read_split(folder / self.task.name, "train").paths)
        share = labelled / len(read_split(folder / self.task.name, "train", pseudo=True).paths)
        epochs = max(1, round(self.epochs * share))
        run = self._train(f"pseudo-{seed}", seed, f"epochs={epochs}", f"data.folder={folder}")
        return Result(self._accuracy(run), 2)

    def _train(self, name: str, seed: int, *overrides: str) -> Run:
        """A run, which is trained, or resumed, unless it is finished."""
        settings = [f"epochs={self.epochs}", f"seed={seed}", *overrides]
        config = load_config(self._config(self._prepared()), settings)
        return train(config, self.out / "runs" / name, "cpu", [], resume=True)

    def _accuracy(self, run: Run) -> float:
        (scored,) = evaluate_run(run, "test", contexts("cpu"), **ONE_CROP)
        return float(scored.scores["accuracy"])

    def _config(self, folder: Path) -> Path:
        file = self.out / "study.yaml"
        crop = self.task.crop
        values = {"task": self.task.name, "folder": folder, "crop": crop, "epochs": self.epochs}
        write_text(file, CONFIG.format(**values, resized=crop + 2))
        return file

    def _prepared(self, name: str = "prepared", labels: Path | None = None) -> Path:
        """The prepared folder, with pseudo-labels from a file."""
        folder = self.out / name
        if not (folder / self.task.name / MANIFEST).is_file():
            prepare(self.task.data_set(), folder, pseudo_labels=labels, near_duplicates="ignore")
        return folder


def fashion_mnist(out: Path, rows: int, test_rows: int | None) -> Task:
    """The first rows of Fashion-MNIST; the rows that follow become files without labels."""
    idx, unlabelled = out / "idx", out / "unlabelled"
    if not unlabelled.is_dir():
        shorten(idx, rows, test_rows)
        data = gzip.decompress((FASHION_MNIST / "train-images-idx3-ubyte.gz").read_bytes())
        images = np.frombuffer(data, np.uint8, offset=16).reshape(-1, 28, 28)[rows : 2 * rows]
        unlabelled.mkdir()
        for number, image in enumerate(images):
            cv2.imwrite(str(unlabelled / f"{number:05}.png"), image)
    task = find_known_task("fashion-mnist")
    return Task(task.name, 28, 4, lambda: read_data_set(task, idx), unlabelled)


def drawings(out: Path) -> Task:
    """Drawings in class folders below folders train, val and test, with 64 pixels and more."""
    labelled, unlabelled = out / "labelled", out / "unlabelled"
    if not unlabelled.is_dir():
        unlabelled.mkdir(parents=True)
        for kind in KINDS:
            files = sorted((PICTURES / kind).rglob("*.png"))
            order = np.random.default_rng(0).permutation(len(files))
            ends = np.cumsum([0, *(round(share * len(files)) for share in SHARES.values())])
            for split, start, end in zip(SHARES, ends, ends[1:]):
                (labelled / split / kind).mkdir(parents=True)
                for number in order[start:end]:
                    copy_picture(files[number], labelled / split / kind / f"{number:03}.png")
            for number in order[ends[-1] :]:
                copy_picture(files[number], unlabelled / f"{kind}-{number:03}.png")
    return Task("drawings", 32, 24, lambda: read_own_folders("drawings", labelled, ()), unlabelled)


def print_table(study: Study, recipes: Sequence[str], seeds: Sequence[int]) -> None:
    """Print the finished recipes as Markdown: cost, mean, deviation, and each seed."""
    print("| recipe, cost | mean | deviation | " + " | ".join(f"seed {s}" for s in seeds) + " |")
    print("| --- |" + " --- |" * (2 + len(seeds)))
    for recipe in recipes:
        found = [study.results[recipe, s] for s in seeds if (recipe, s) in study.results]
        if len(found) == len(seeds):
            cost = statistics.fmean(each.cost for each in found)
            print_row(f"{recipe}, {cost:g}", [each.accuracy for each in found])


def main() -> None:
    """Run the study and print its table."""
    parser = argparse.ArgumentParser(usage=(__doc__ or "").split("usage: ")[1].replace("%", "%%"))
    parser.add_argument("data", choices=["fashion-mnist", "drawings"])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--rows", type=int, default=4000)
    parser.add_argument("--test-rows", type=int)
    parser.add_argument("--epochs", type=int)
    parser.add_argument("--seeds", default="0,1,2")
    parser.add_argument("--minutes", type=float, default=float("inf"))
    arguments = parser.parse_args()
    until = time.monotonic() + 60 * arguments.minutes
    seeds = [int(seed) for seed in arguments.seeds.split(",")]
    out = arguments.out.resolve()
    log_to_terminal()
    if arguments.data == "drawings":
        task = drawings(out)
    else:
        task = fashion_mnist(out, arguments.rows, arguments.test_rows)
    recipes = [each for each in RECIPES if each != PSEUDO or any(task.unlabelled.iterdir())]
    study = Study(task, out, arguments.epochs or task.epochs)
    try:
        done = study.compute(recipes, seeds, until)
    except RunStoppedError as stopped:
        sys.exit(f"recipe_study.py: {stopped.message}; the same command goes on")
    except FashionAIError as error:
        sys.exit(f"recipe_study.py: {error}")
    print_table(study, recipes, seeds)
    if not done:
        sys.exit("recipe_study.py: time is up; the same command goes on")


if __name__ == "__main__":
    main()
