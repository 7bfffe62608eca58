"""Prediction files and labels of FashionAI: scores as a slow formula has them, damage refused."""

from __future__ import annotations

import json
import math
import random
from pathlib import Path
from typing import NamedTuple, Optional

from commands import run_command, verdict
from damage import damaged

# Imported before the fork: it costs a second.
import fashionai.cli.scoring.evaluate
import fashionai.scoring.evaluate  # noqa: F401

CLASSES = {"skirt_length_labels": 6, "coat_length_labels": 8, "neck_design_labels": 5}


class Case(NamedTuple):
    """Both files, and the mean average precision if they are sound."""

    predictions: bytes
    labels: bytes
    score: Optional[float]


def make(rng: random.Random) -> Case:
    """One to three tasks with up to 30 rows each."""
    tasks = rng.sample(list(CLASSES), rng.randint(1, 3))
    predictions, labels, scores = [], [], []
    for task in tasks:
        rows = [_row(CLASSES[task], rng) for _ in range(rng.randint(1, 30))]
        for number, (values, marks) in enumerate(rows):
            image = f"Images/{task}/{number}.jpg,{task}"
            predictions.append(f"{image},{';'.join(f'{value:.8f}' for value in values)}\n")
            labels.append(f"{image},{marks}\n")
        scores.append(average_precision(rows))
    rng.shuffle(labels)
    files = [rng.choice(["", "\ufeff"]) + "".join(lines) for lines in (predictions, labels)]
    contents = [rng.choice([text, text.replace("\n", "\r\n")]).encode() for text in files]
    kind = rng.choice(["sound", "predictions", "labels"])
    if kind == "sound":
        return Case(*contents, math.fsum(scores) / len(scores))
    contents[kind == "labels"] = damaged(contents[kind == "labels"], rng)
    return Case(*contents, None)


def check(case: Case, folder: Path) -> str:
    """Score the predictions; sound ones have the score of the formula."""
    (folder / "p.csv").write_bytes(case.predictions)
    (folder / "l.csv").write_bytes(case.labels)
    word = verdict(
        finished := run_command(
            "evaluate", "--predictions", "p.csv", "--labels", "l.csv", "--json", "s.json"
        )
    )
    if case.score is not None:
        assert word == "accepted", f"sound files were refused: {finished.err}"
        found = json.loads((folder / "s.json").read_text())["map"]
        found = math.nan if found is None else found
        same = math.isclose(found, case.score, abs_tol=1e-9)
        assert same or math.isnan(found) == math.isnan(case.score) is True, (found, case.score)
    return word


def average_precision(rows: list[tuple[list[float], str]]) -> float:
    """The mean of the precision over the distinct largest probabilities, NaN without any.

    Of the rows with at least that probability, those whose class is marked y are right and n are
    wrong; m does not count, and a threshold at which no row counts is left out.
    """
    best = [(max(values), marks[values.index(max(values))]) for values, marks in rows]
    precisions = []
    for threshold in {probability for probability, _ in best}:
        output = [mark for probability, mark in best if probability >= threshold]
        counted = [mark for mark in output if mark != "m"]
        if counted:
            precisions.append(counted.count("y") / len(counted))
    return math.fsum(precisions) / len(precisions) if precisions else math.nan


def _row(classes: int, rng: random.Random) -> tuple[list[float], str]:
    """Probabilities in steps of 1e-8 with the sum 1, and the marks of a label."""
    weights = [rng.random() ** rng.choice([1, 9]) + 1e-9 for _ in range(classes)]
    units = [int(1e8 * weight / sum(weights)) for weight in weights]
    units[0] += 10**8 - sum(units)
    if rng.random() < 0.2:  # several rows with the same probabilities
        units = [0] * classes
        units[rng.randrange(classes)] = 10**8
    marks = ["y" if index == 0 else rng.choice("nnm") for index in range(classes)]
    rng.shuffle(marks)
    return [unit / 1e8 for unit in units], "".join(marks)
