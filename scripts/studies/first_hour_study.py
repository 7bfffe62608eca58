"""Compares recipes for a few hundred pictures with scikit-learn: the study of the first hour.

usage: scripts/studies/first_hour_study.py --pictures DIR --out DIR [--network NAME] [--splits 12]
                                           [--tasks food,animals,subjects]
                                           [--recipes head,head-then-all,all]
                                           [--images 80] [--crop 128] [--quick]

DIR holds the pictures of Debian's package openclipart-png, which installs them in
/usr/share/openclipart/png. There are three tasks: kinds of food, kinds of animals, and subjects. A
split holds out 30 % of the pictures of each class for the test, and a tenth of the rest for
validation. The recipes train on each split from ImageNet weights; scikit-learn's
LogisticRegressionCV learns from the features that the recipe "head" keeps. With the recipe
"torchvision" too, torchvision fine-tunes mobilenet_v2 from the same weights, in as much CPU time as
the longest of ours took on that split; scripts/bench/setup.sh installs it. Prints a table as
Markdown.

Finished results in DIR/results.json are not computed again, and the table has those of all recipes
so far. With --quick the study runs one epoch on a few pictures, and its scores mean nothing.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import time
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegressionCV
from sklearn.pipeline import make_pipeline
from study_results import read_results, write_results

from fashionai import Run, RunFolder, Trainer, contexts, load_config, prepare
from fashionai.cli.terminal.progress import log_to_terminal, progress_bar
from fashionai.datasets.prepared.manifest import MANIFEST
from fashionai.datasets.reading import read_own_folders
from fashionai.datasets.records import LabelledImage
from fashionai.errors import DataError, FashionAIError, RunStoppedError
from fashionai.export.formats import export
from fashionai.files import file_hash, write_text
from fashionai.pipeline.loader import draws_of

ROOT = Path(__file__).resolve().parents[2]
# The classes of each task: folders of pictures.
TASKS = {
    "food": tuple(
        f"food/{name}"
        for name in ("beverages", "breads_and_carbs", "desserts", "fruit", "meats_and_eggs")
    ),
    "animals": tuple(
        f"animals/{name}" for name in ("birds", "bugs", "dinosaurs", "fish", "mammals")
    ),
    "subjects": ("office", "people", "plants", "tools", "transportation"),
}
STORED_SIDE = 256
TEST_SHARE, VALIDATION_SHARE = 0.3, 0.1
HEAD, THEN, ALL, TORCHVISION = "head", "head-then-all", "all", "torchvision"
OURS = (HEAD, THEN, ALL)
RECIPES = (*OURS, TORCHVISION)
# LogisticRegressionCV on the training images, and on those of validation as well.
LOGISTIC, LOGISTIC_ALL = "LogisticRegressionCV", "LogisticRegressionCV, with validation images"

CONFIG = """\
task: {task}
model: {{name: {network}}}
data: {{folder: {folder}, resize_short: {resize}, crop: {crop}}}
batch_size: 16
schedule: {{name: cosine}}
monitor: last
evaluate_test: end
"""
# The learning rate of all layers is the best one of docs/studies.md, "Transfer learning".
SETTINGS = {
    HEAD: (
        *("trainable=head", "data.augment=[]", "epochs=40"),
        *("optimizer.name=adamw", "optimizer.lr=0.002", "optimizer.weight_decay=0.1"),
    ),
    THEN: (
        *("trainable={head: 4, all: 8}", "epochs=12", "schedule.warmup_epochs=1"),
        *("optimizer.name=adamw", "optimizer.lr=0.001", "optimizer.weight_decay=0.1"),
    ),
    ALL: (
        *("trainable=all", "epochs=8", "schedule.warmup_epochs=1"),
        *("optimizer.name=adamw", "optimizer.lr=0.001", "optimizer.weight_decay=0.1"),
    ),
}
# torchvision's settings, in the manner of ALL.
PEER = ROOT / "scripts/bench/peers/torchvision_fine_tune.py"
PEER_SETTINGS = {"batch_size": 16, "lr": 0.001, "weight_decay": 0.1}
QUICK = {
    HEAD: ["epochs=1"],
    THEN: ["trainable={head: 1, all: 1}", "epochs=2"],
    ALL: ["epochs=1"],
}


class Plan(NamedTuple):
    """What is compared: ``images`` is the largest number of pictures of a class.

    ``crop`` is the side of the images in pixels. A ``quick`` plan trains an epoch or two.
    """

    network: str
    splits: int
    tasks: Sequence[str]
    recipes: Sequence[str]
    images: int
    crop: int
    quick: bool = False

    @property
    def resize(self) -> int:
        """The short side, in pixels, that images are resized to before they are cropped."""
        return self.crop * 9 // 8


class Study:
    """The splits and runs of a plan below the folder ``out``, and the results so far."""

    def __init__(self, plan: Plan, pictures: Path, out: Path) -> None:
        self.plan, self.pictures, self.out = plan, pictures, out
        self.results = read_results(out)

    def compute(self) -> None:
        """Train all recipes of the plan on all splits."""
        contexts("cpu")  # imports MXNet, whose seconds are not those of the first recipe
        for split in range(self.plan.splits):
            for task in self.plan.tasks:
                for recipe in self.plan.recipes:
                    if recipe not in self.of_split(task, split):
                        train = self._train_peer if recipe == TORCHVISION else self._train
                        train(task, split, recipe)

    def of_split(self, task: str, split: int) -> dict[str, Any]:
        """The results on one split by recipe; new ones are put into it."""
        found: dict[str, Any] = self.results.setdefault(f"{task}-{split}", {})
        return found

    def _train(self, task: str, split: int, recipe: str) -> None:
        """Train one recipe; its features also serve scikit-learn, if it keeps any."""
        folder = RunFolder(self._run_folder(task, split, recipe))
        prepared = self._prepare(task, split)
        file = self.out / "study.yaml"
        size = {"resize": self.plan.resize, "crop": self.plan.crop}
        write_text(
            file, CONFIG.format(task=task, network=self.plan.network, folder=prepared, **size)
        )
        settings = [*SETTINGS[recipe], f"seed={split}"]
        if self.plan.quick:
            settings += QUICK[recipe]
        shutil.rmtree(folder.path, ignore_errors=True)
        folder.path.mkdir(parents=True)
        start = time.process_time()
        trainer = Trainer(load_config(file, settings), contexts("cpu"))
        metrics = trainer.fit(folder)
        seconds = time.process_time() - start
        results = self.of_split(task, split)
        results[recipe] = {"accuracy": metrics["test"]["accuracy"], "seconds": seconds}
        if recipe == HEAD:
            results |= logistic_regressions(trainer)
        else:
            shutil.rmtree(folder.path)
        write_results(self.out, self.results)

    def _train_peer(self, task: str, split: int, recipe: str) -> None:
        """Train torchvision's network from the weights of the run of HEAD, as long as ours took."""
        python = Path(os.environ.get("BENCH_PYTHON") or ROOT / ".venv-bench/bin/python")
        results = self.of_split(task, split)
        seconds = [results[name]["seconds"] for name in OURS if name in results]
        if HEAD not in results:
            raise DataError(f"{task}-{split}: {recipe} needs the results of {HEAD}")
        if not python.is_file():
            raise DataError(f"{python}: does not exist", "Run scripts/bench/setup.sh")
        exported = self.out / "exported"
        shutil.rmtree(exported, ignore_errors=True)
        export(Run.open(self._run_folder(task, split, HEAD)), "safetensors", exported)
        settings = {
            **PEER_SETTINGS,
            **{"resize": self.plan.resize, "crop": self.plan.crop, "seed": split},
            "folder": str(self._prepare(task, split) / task),
            "network": json.loads((exported / "model.json").read_text())["network"],
            "weights": str(exported / "model.safetensors"),
            "seconds": max(seconds),
        }
        command = [str(python), str(PEER), json.dumps(settings)]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
        results[recipe] = json.loads(done.stdout)
        write_results(self.out, self.results)

    def _run_folder(self, task: str, split: int, recipe: str) -> Path:
        return self.out / "runs" / f"{task}-{split}-{recipe}"

    def _prepare(self, task: str, split: int) -> Path:
        """The prepared folder of a split."""
        folder = self.out / "splits" / f"{task}-{split}"
        if not (folder / task / MANIFEST).is_file():
            source = read_own_folders(task, self._collect(task), ())
            chosen = choose_splits(source.images, self.plan.images, split)
            prepare(source._replace(images=chosen), folder, progress=progress_bar)
        return folder

    def _collect(self, task: str) -> Path:
        """The class folders of a task, with one copy of each picture."""
        collected = self.out / "pictures" / task
        seen: set[str] = set()
        for name in TASKS[task]:
            files = sorted((self.pictures / name).glob("*.png"))
            if not files:
                raise DataError(f"{self.pictures / name}: no pictures found")
            folder = collected / Path(name).name
            folder.mkdir(parents=True, exist_ok=True)
            for file in files:
                content = file_hash(file)
                if content not in seen:
                    copy_picture(file, folder / file.name)
                seen.add(content)
        return collected


def copy_picture(file: Path, copy: Path) -> None:
    """Copy a picture with a short side of at most STORED_SIDE pixels: some have 100 megapixels."""
    if copy.is_file():
        return
    image = cv2.imread(str(file), cv2.IMREAD_UNCHANGED)
    scale = STORED_SIDE / min(image.shape[:2])
    if scale < 1:
        image = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    cv2.imwrite(str(copy), image)


def choose_splits(images: Sequence[LabelledImage], most: int, seed: int) -> list[LabelledImage]:
    """Divide at most ``most`` images of each class into test, validation and training images."""
    rng = np.random.default_rng(seed)
    chosen = []
    for class_index in sorted({image.class_index for image in images}):
        of_class = [image for image in images if image.class_index == class_index]
        order = rng.permutation(len(of_class))[:most]
        tests = max(1, round(len(order) * TEST_SHARE))
        validation = max(1, round((len(order) - tests) * VALIDATION_SHARE))
        for position, index in enumerate(order):
            split = "train"
            if position < tests + validation:
                split = "test" if position < tests else "val"
            chosen.append(of_class[index]._replace(split=split))
    return chosen


def logistic_regressions(trainer: Trainer) -> dict[str, dict[str, float]]:
    """Test accuracy and seconds of LogisticRegressionCV on the features that a learner keeps."""
    inputs, train = trainer.learner.inputs, trainer.train_samples
    rows = np.arange(len(train.paths))
    batches = inputs.training(draws_of(rows, 0), 0, 0)
    features = [np.concatenate([batch.images for batch in batches]).reshape(len(rows), -1)]
    assert trainer.test_samples is not None
    for samples in (trainer.val_samples, trainer.test_samples):
        batches = inputs.evaluation(samples, lambda: None)
        features.append(np.concatenate(list(batches)).reshape(len(samples.paths), -1))
    splits = (train, trainer.val_samples, trainer.test_samples)
    classes = [samples.marks.argmax(axis=1) for samples in splits]
    results = {}
    for name, parts in ((LOGISTIC, 1), (LOGISTIC_ALL, 2)):
        start = time.process_time()
        # A rotation, with as many axes as images, changes no result and makes it quicker.
        model = make_pipeline(PCA(), LogisticRegressionCV(max_iter=1000))
        model.fit(np.concatenate(features[:parts]), np.concatenate(classes[:parts]))
        accuracy = float(model.score(features[-1], classes[-1]))
        results[name] = {"accuracy": accuracy, "seconds": time.process_time() - start}
    return results


def print_table(results: dict[str, dict[str, Any]]) -> None:
    """Print one row per task and method as Markdown.

    The difference to LogisticRegressionCV is a mean over the same splits.
    """
    columns = ("task", "method", "splits", "accuracy", "minus LogisticRegressionCV", "CPU seconds")
    print("| " + " | ".join(columns) + " |\n|" + " --- |" * len(columns))
    for task in TASKS:
        splits = [found for name, found in results.items() if name.startswith(f"{task}-")]
        for method in (LOGISTIC, LOGISTIC_ALL, *RECIPES):
            own = [found for found in splits if method in found]
            if own:
                accuracies = [found[method]["accuracy"] for found in own]
                differences = [
                    found[method]["accuracy"] - found[LOGISTIC]["accuracy"]
                    for found in own
                    if LOGISTIC in found
                ]
                seconds = statistics.fmean(found[method]["seconds"] for found in own)
                print(
                    f"| {task} | {method} | {len(own)} | {mean_and_error(accuracies)} "
                    f"| {mean_and_error(differences, '+')} | {seconds:.1f} |"
                )


def mean_and_error(values: Sequence[float], sign: str = "") -> str:
    """The mean with its standard error, such as ``0.742 ± 0.011``."""
    if not values:
        return ""
    error = statistics.stdev(values) / len(values) ** 0.5 if len(values) > 1 else 0.0
    return f"{statistics.fmean(values):{sign}.3f} ± {error:.3f}"


def main() -> None:
    """Run the study and print its table."""
    parser = argparse.ArgumentParser(usage=(__doc__ or "").split("usage: ")[1].replace("%", "%%"))
    parser.add_argument("--pictures", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--network", default="mobilenetv2_1.0")
    parser.add_argument("--splits", type=int, default=12)
    parser.add_argument("--tasks", default=",".join(TASKS))
    parser.add_argument("--recipes", default=",".join(OURS))
    parser.add_argument("--images", type=int, default=80, help="the most pictures of a class")
    parser.add_argument("--crop", type=int, default=128, help="side of the images in pixels")
    parser.add_argument("--quick", action="store_true")
    arguments = parser.parse_args()
    tasks, recipes = arguments.tasks.split(","), arguments.recipes.split(",")
    for option, given, known in (("tasks", tasks, TASKS), ("recipes", recipes, RECIPES)):
        if not set(given) <= set(known):
            parser.error(f"--{option}: choose from {', '.join(known)}")
    plan = Plan(
        arguments.network,
        arguments.splits,
        tasks,
        recipes,
        arguments.images,
        arguments.crop,
    )
    if arguments.quick:
        plan = plan._replace(splits=1, images=12, quick=True)
    log_to_terminal()
    warnings.filterwarnings("ignore", category=FutureWarning, module="sklearn")
    study = Study(plan, arguments.pictures, arguments.out.resolve())
    try:
        study.compute()
    except RunStoppedError as stopped:
        sys.exit(f"first_hour_study.py: {stopped.message}. Run the same command again")
    except FashionAIError as error:
        sys.exit(f"first_hour_study.py: {error}")
    print_table(study.results)


if __name__ == "__main__":
    main()
