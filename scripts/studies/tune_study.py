"""Measures what fashionai tune is worth: beside the untuned configuration and random search.

usage: scripts/studies/tune_study.py --out DIR [--rows 4000] [--epochs 4] [--trials 20] [--seeds 2]
                                     [--confirm 3] [--test-rows 2000] [--data DIR]

Searches on the first rows of Fashion-MNIST (Debian's dataset-fashion-mnist) with the packaged
configuration fashion_mnist, by TPE and by random search with as many trials, for each seed. The
best configuration of each search and the untuned one are trained again with --confirm new seeds and
scored on the first --test-rows test images. Prints a table, and writes it to DIR/results.json.

A study that was stopped goes on: searches are resumed, and finished trainings are kept.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import statistics
from pathlib import Path
from typing import NamedTuple

from study_results import write_results
from training_study import FASHION_MNIST, shorten

from fashionai.cli import main as run_command_line

SAMPLERS = ("tpe", "random")
SCORE = "map"


class Row(NamedTuple):
    """A search and its confirmation: mAP on the validation images, and on the test images."""

    sampler: str
    seed: int
    untuned: float
    best: float
    trial: int
    pruned: int
    seconds: float
    test_untuned: list[float]
    test_best: list[float]


def fashionai(*arguments: object) -> None:
    """Run a command; ends the study if it fails."""
    try:
        run_command_line([str(argument) for argument in arguments])
    except SystemExit as stop:
        if stop.code:
            raise


def prepare(given: argparse.Namespace) -> None:
    """Prepare the rows, unless that was done."""
    if Path("data/train_valid").is_dir():
        return
    shorten(Path("idx"), given.rows, given.test_rows, given.data)
    fashionai("prepare", "--task", "fashion-mnist", "--data", "idx")


def search(given: argparse.Namespace, sampler: str, seed: int) -> Row:
    """Search, confirm, and read what came out."""
    run = Path("runs") / f"{sampler}-{seed}"
    fashionai(
        *("tune", "--config", "fashion_mnist", "--run", run, "--resume", "--sampler", sampler),
        *("--trials", given.trials, "--confirm", given.confirm),
        *("--out", f"configs/{sampler}-{seed}.yaml", f"seed={seed}", f"epochs={given.epochs}"),
    )
    with open(run / "trials.csv", newline="") as file:
        trials = list(csv.DictReader(file))
    finished = [trial for trial in trials if trial["state"] == "finished"]
    best = max(finished, key=lambda trial: float(trial[SCORE]))
    tests = {
        number: [
            json.loads(path.read_text())["test"][SCORE]
            for path in sorted(run.glob(f"confirm/trial-{number}-seed-*/metrics.json"))
        ]
        for number in ("0", best["trial"])
    }
    return Row(
        sampler,
        seed,
        float(trials[0][SCORE]),
        float(best[SCORE]),
        int(best["trial"]),
        sum(trial["state"] == "pruned" for trial in trials),
        sum(float(trial["seconds"]) for trial in trials),
        tests["0"],
        tests[best["trial"]],
    )


def table(rows: list[Row]) -> str:
    """One line per search."""
    lines = ["sampler  seed  pruned  seconds  validation: untuned  tuned   test: untuned  tuned"]
    for row in rows:
        untuned, tuned = (
            statistics.mean(scores) if scores else float("nan")
            for scores in (row.test_untuned, row.test_best)
        )
        lines.append(
            f"{row.sampler:8} {row.seed:4}  {row.pruned:6}  {row.seconds:7.0f}  "
            f"{row.untuned:19.4f}  {row.best:.4f}  {untuned:13.4f}  {tuned:.4f}"
        )
    return "\n".join(lines)


def main() -> None:
    """Run the study, or the rest of it."""
    parser = argparse.ArgumentParser(usage=(__doc__ or "").split("usage: ")[1].replace("%", "%%"))
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--data", type=Path, default=FASHION_MNIST)
    for name, number in (
        *(("rows", 4000), ("test-rows", 2000), ("epochs", 4)),
        *(("trials", 20), ("seeds", 2), ("confirm", 3)),
    ):
        parser.add_argument(f"--{name}", type=int, default=number)
    given = parser.parse_args()
    given.data = given.data.resolve()
    given.out.mkdir(parents=True, exist_ok=True)
    os.chdir(given.out)
    prepare(given)
    rows = []
    for seed in range(given.seeds):
        for sampler in SAMPLERS:
            rows.append(search(given, sampler, seed))
            write_results(Path(), {f"{row.sampler}-{row.seed}": row._asdict() for row in rows})
    print(table(rows))


if __name__ == "__main__":
    main()
