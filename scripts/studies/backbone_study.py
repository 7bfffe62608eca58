"""Compares the networks whose ImageNet weights come from the package index, on few images.

usage: scripts/studies/backbone_study.py --fashion-mnist DIR --pictures DIR --out DIR
                                         [--networks mobilenetv2_1.0,efficientnet_lite0,...]
                                         [--seconds 15] [--seeds 3] [--quick]

The images are 20 of each class of Fashion-MNIST, grey, and drawings in colour of five kinds of food
and five kinds of animals, those of Debian's package openclipart-png, at most 80 of each class. Each
network trains in two ways from ImageNet weights, on the same images: the output layer alone, on
kept features, and all layers, for as many epochs as fit into --seconds of CPU time. Prints a table
as Markdown. Run it with OMP_NUM_THREADS=1.

Finished results in DIR/results.json are not computed again. With --quick the study runs an epoch on
a few images, and its scores mean nothing.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import transfer_study
from first_hour_study import TASKS, choose_splits, copy_picture
from study_results import read_results, write_results

from fashionai import RunFolder, Trainer, contexts, find_task, prepare, read_data_set
from fashionai.cli.terminal.progress import log_to_terminal, progress_bar
from fashionai.config import Config
from fashionai.datasets.prepared.manifest import MANIFEST
from fashionai.datasets.reading import read_own_folders
from fashionai.datasets.records import DataSet
from fashionai.errors import FashionAIError, RunStoppedError
from fashionai.files import file_hash

NETWORKS = ("mobilenetv2_1.0", "efficientnet_lite0", "efficientnet_lite2")
FASHION_MNIST = "fashion-mnist"
DATA_SETS = (FASHION_MNIST, "food", "animals")
HEAD, ALL = "head", "all"
# Images of Fashion-MNIST per class.
SHARE = transfer_study.STUDY._replace(validation=5, test=50)
SHARE_IMAGES, PICTURES = 20, 80
CROP, RESIZE_SHORT = 96, 108

COMMON: dict[str, Any] = {
    "batch_size": 16,
    "schedule": {"name": "cosine"},
    "monitor": "last",
    "evaluate_test": "end",
}
WAYS: dict[str, dict[str, Any]] = {
    HEAD: {
        "trainable": "head",
        "epochs": 40,
        "optimizer": {"name": "adamw", "lr": 0.002, "weight_decay": 0.1},
    },
    ALL: {
        "trainable": "all",
        "schedule": {"name": "cosine", "warmup_epochs": 1},
        "optimizer": {"name": "adamw", "lr": 0.001, "weight_decay": 0.1},
    },
}


class Plan(NamedTuple):
    """What is compared; ``seconds`` of CPU time are the budget of a training of all layers."""

    networks: Sequence[str]
    seeds: int
    seconds: float
    quick: bool


class Study:
    """The shares and results of a plan below the folder ``out``."""

    def __init__(self, plan: Plan, fashion_mnist: Path, pictures: Path, out: Path) -> None:
        self.plan, self.out = plan, out
        self._fashion_mnist, self._pictures = fashion_mnist, pictures
        self.results = read_results(out)

    def compute(self) -> None:
        """Train what has no result yet: networks alternate, so that the load affects all alike."""
        contexts("cpu")  # imports MXNet, whose seconds are not those of the first training
        for way in WAYS:
            for seed in range(self.plan.seeds):
                for data_set in DATA_SETS:
                    for network in self.plan.networks:
                        name = result_name(data_set, way, network, seed)
                        if name not in self.results:
                            self.results[name] = self._train(data_set, way, network, seed)
                            print(name, self.results[name], file=sys.stderr, flush=True)
                            write_results(self.out, self.results)

    def _train(self, data_set: str, way: str, network: str, seed: int) -> dict[str, float]:
        """Test accuracy, epochs and seconds of CPU time of one training."""
        values = {
            **{**COMMON, **WAYS[way]},
            **{"task": data_set, "model": {"name": network}, "seed": seed},
            "data": {
                **{"folder": str(self._prepare(data_set, seed))},
                **{"crop": CROP, "resize_short": RESIZE_SHORT},
                **({"augment": []} if way == HEAD else {}),
            },
        }
        if way == ALL:
            values["epochs"] = 2 if self.plan.quick else self._epochs(data_set, network, values)
        return trained(values)

    def _epochs(self, data_set: str, network: str, values: dict[str, Any]) -> int:
        """The epochs that fit into the budget; the difference of two short runs is one epoch."""
        name = f"an epoch of {data_set}-{network}"
        if name not in self.results:
            short = {**values, **{"schedule": {"name": "cosine"}, "evaluate_test": "never"}}
            one, two = (trained({**short, "epochs": epochs})["seconds"] for epochs in (1, 2))
            self.results[name] = {"seconds": two - one}
        return max(2, round(self.plan.seconds / self.results[name]["seconds"]))

    def _prepare(self, data_set: str, seed: int) -> Path:
        """The prepared folder of a data set with the images that a seed draws."""
        folder = self.out / "shares" / f"{data_set}-{seed}"
        if not (folder / data_set / MANIFEST).is_file():
            prepare(self._images(data_set, seed), folder, progress=progress_bar)
        return folder

    def _images(self, data_set: str, seed: int) -> DataSet:
        if data_set == FASHION_MNIST:
            source = read_data_set(find_task(data_set), self._fashion_mnist)
            share, images = (transfer_study.QUICK, 2) if self.plan.quick else (SHARE, SHARE_IMAGES)
            chosen = transfer_study.choose_images(source.images, images, share, seed)
        else:
            source = read_own_folders(data_set, self._collect(data_set), ())
            most = 12 if self.plan.quick else PICTURES
            chosen = choose_splits(source.images, most, seed)
        return source._replace(images=chosen)

    def _collect(self, data_set: str) -> Path:
        """The class folders of drawings, with one copy of each."""
        collected, seen = self.out / "pictures" / data_set, set()
        for name in TASKS[data_set]:
            folder = collected / Path(name).name
            folder.mkdir(parents=True, exist_ok=True)
            for file in sorted((self._pictures / name).glob("*.png")):
                content = file_hash(file)
                if content not in seen:
                    copy_picture(file, folder / file.name)
                seen.add(content)
        return collected


def trained(values: dict[str, Any]) -> dict[str, float]:
    """Train a configuration in a folder that is removed afterwards."""
    with tempfile.TemporaryDirectory() as folder:
        start = time.process_time()
        metrics = Trainer(Config.model_validate(values), contexts("cpu")).fit(
            RunFolder(Path(folder))
        )
        seconds = time.process_time() - start
    accuracy = metrics.get("test", {}).get("accuracy", 0.0)
    return {"accuracy": accuracy, "epochs": values["epochs"], "seconds": round(seconds, 1)}


def result_name(data_set: str, way: str, network: str, seed: int) -> str:
    """The key of a result."""
    return f"{data_set}-{way}-{network}-{seed}"


def print_table(study: Study) -> None:
    """Print a row per data set, way of training and network, with means over the seeds."""
    columns = ("images", "trained", "network", "mean", "deviation", "seeds", "epochs", "CPU s")
    print("| " + " | ".join(columns) + " |\n|" + " --- |" * len(columns))
    for data_set in DATA_SETS:
        for way in WAYS:
            for network in study.plan.networks:
                names = [result_name(data_set, way, network, n) for n in range(study.plan.seeds)]
                found = [study.results[name] for name in names if name in study.results]
                if not found:
                    continue
                each = [result["accuracy"] for result in found]
                epochs = ", ".join(f"{result['epochs']:.0f}" for result in found)
                seconds = statistics.fmean(result["seconds"] for result in found)
                deviation = statistics.stdev(each) if len(each) > 1 else 0.0
                scores = f"{statistics.fmean(each):.4f} | {deviation:.4f}"
                seeds = ", ".join(f"{accuracy:.4f}" for accuracy in each)
                cells = f"{scores} | {seeds} | {epochs} | {seconds:.0f}"
                print(f"| {data_set} | {way} | `{network}` | {cells} |")


def main() -> None:
    """Run the study and print its table."""
    parser = argparse.ArgumentParser(usage=(__doc__ or "").split("usage: ")[1])
    parser.add_argument("--fashion-mnist", type=Path, required=True)
    parser.add_argument("--pictures", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--networks", default=",".join(NETWORKS))
    parser.add_argument("--seconds", type=float, default=15)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--quick", action="store_true")
    given = parser.parse_args()
    log_to_terminal()
    seeds = 1 if given.quick else given.seeds
    plan = Plan(given.networks.split(","), seeds, given.seconds, given.quick)
    study = Study(plan, given.fashion_mnist, given.pictures, given.out.resolve())
    try:
        study.compute()
    except RunStoppedError as stopped:
        sys.exit(f"backbone_study.py: {stopped.message}. Run the same command again")
    except FashionAIError as error:
        sys.exit(f"backbone_study.py: {error}")
    print_table(study)


if __name__ == "__main__":
    main()
