"""The cost of a command per row, without images: bookkeeping.py prepare|predict|evaluate ROWS.

Runs a command of this project on ROWS rows of the FashionAI format, with stubs in place of the
images and the network. Prints the seconds and the peak of the resident memory in MB as JSON.
"""

from __future__ import annotations

import contextlib
import json
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np

from fashionai.config import Config, DataConfig, save_config
from fashionai.datasets.prepared.check import Checked
from fashionai.datasets.prepared.prepare import prepare
from fashionai.datasets.readers.fashionai import read_training_images
from fashionai.datasets.records import DataSet
from fashionai.families import find_task
from fashionai.files import content_hash, write_json
from fashionai.frameworks.mxnet import contexts
from fashionai.predictions.plan import plan_questions, without_bad_images
from fashionai.predictions.run_choice import Candidates
from fashionai.predictions.writing import open_parts_of, write_planned
from fashionai.runs import RunFolder
from fashionai.scoring.evaluate import evaluate_file
from fashionai.tasks import tasks_to_json

TASK = find_task("skirt_length_labels")
CLASSES = len(TASK.classes)
# The smallest crop that the configuration allows, in pixels.
SIDE = 8


def name_of(row: int) -> str:
    """The name of an image, as long as the competition's names."""
    return f"Images/{TASK.name}/{row:032x}.jpg"


def label_of(row: int) -> str:
    """A label that marks one class y and all others n."""
    return "".join("y" if index == row % CLASSES else "n" for index in range(CLASSES))


def write_labels(file: Path, rows: int, labelled: bool = True) -> Path:
    """Write a label file, or a question file where ``labelled`` is False."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with open(file, "w") as lines:
        for row in range(rows):
            lines.write(f"{name_of(row)},{TASK.name},{label_of(row) if labelled else ''}\n")
    return file


def no_bar(*_: Any) -> contextlib.AbstractContextManager[Any]:
    """Progress that nobody sees."""
    return contextlib.nullcontext(lambda _: None)


def plan(folder: Path, rows: int) -> Callable[[], Any]:
    """Everything that prepare does except opening and linking images."""
    write_labels(folder / "base/Annotations/label.csv", rows)

    def run() -> None:
        images = read_training_images(folder, TASK)
        source = DataSet(TASK, images, [])
        prepare(source, folder / "out", progress=no_bar)

    return run


def predict(folder: Path, rows: int) -> Callable[[], Any]:
    """Everything that predict does except computing pixels and probabilities."""
    questions = write_labels(folder / "rank/Tests/question.csv", rows, labelled=False)
    run = RunFolder(folder / "run")
    run.path.mkdir()
    data = DataConfig(crop=SIDE, resize_short=SIDE)
    save_config(Config(task=TASK.name, data=data), run.config_file)
    write_json(run.classes_file, tasks_to_json([TASK]))
    run.best_parameters.touch()

    def write_predictions() -> None:
        planned = plan_questions(questions, folder, [TASK], Candidates.open([run.path]))
        out, devices = folder / "predictions.csv", contexts("cpu")
        options = {"crops": 1, "batch_size": 16, "engine": "gluon"}
        with open_parts_of(planned, out, devices, **options) as parts:
            planned = without_bad_images(planned, no_bar, parts=parts)
            write_planned(planned, out, devices, parts, **options)

    return write_predictions


def evaluate(folder: Path, rows: int) -> Callable[[], Any]:
    """Everything that evaluate does with a prediction file and a label file."""
    labels = write_labels(folder / "labels.csv", rows)
    values = np.random.default_rng(0).dirichlet(np.ones(CLASSES), rows)
    predictions = folder / "predictions.csv"
    with open(predictions, "w") as lines:
        for row, probabilities in enumerate(values):
            text = ";".join(f"{value:.8f}" for value in probabilities)
            lines.write(f"{name_of(row)},{TASK.name},{text}\n")
    return lambda: evaluate_file(predictions, [labels])


class StubEngine:
    """An engine that gives all classes the same probability."""

    def begin(self, pixels: np.ndarray) -> Callable[[], np.ndarray]:
        """Accept a batch of pixels; the returned function gives ``(N, CLASSES) float64``."""
        return lambda: np.full((len(pixels), CLASSES), 1 / CLASSES)


def stubs() -> contextlib.ExitStack:
    """Replace image files, their pixels and the network while the context is open."""
    image = np.zeros((SIDE, SIDE, 3), np.uint8)
    stack = contextlib.ExitStack()
    for target, stub in (
        (
            "datasets.readers.fashionai._find_files",
            lambda rows, files: [row.image for row in rows],
        ),
        (
            "datasets.prepared.prepare.check_images",
            lambda images, _: [Checked(content_hash(each.source.encode()), "") for each in images],
        ),
        ("datasets.prepared.folders.put", lambda *_: True),
        ("pipeline.loader.read_image", lambda *_: image),
        ("predictions.soundness._damage", lambda file: ""),
        ("predictions.predict.open_engine", lambda *_: StubEngine()),
        ("predictions.in_parts.open_engine", lambda *_: StubEngine()),
    ):
        stack.enter_context(mock.patch(f"fashionai.{target}", stub))
    return stack


def main() -> None:
    """Measure one command and print the result."""
    begin = {"prepare": plan, "predict": predict, "evaluate": evaluate}[sys.argv[1]]
    with tempfile.TemporaryDirectory() as name, stubs():
        run = begin(Path(name), int(sys.argv[2]))
        begun = time.perf_counter()
        run()
        seconds = time.perf_counter() - begun
    # getrusage would give the peak of the parent process where that was higher.
    status = Path("/proc/self/status").read_text()
    peak = int(status.split("VmHWM:")[1].split()[0]) * 1024 / 1e6
    print(json.dumps({"seconds": seconds, "peak_mb": peak}))


if __name__ == "__main__":
    main()
