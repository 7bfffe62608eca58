"""The text files of run folders and of cross-validations, one of them damaged or of odd content."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import NamedTuple

from commands import run_command, verdict
from damage import damaged, odd_json

# Imported before the fork: they cost a second.
import fashionai.cli.scoring.runs
import fashionai.reporting.tables  # noqa: F401
from fashionai.config import Config, dump_config
from fashionai.errors import FashionAIError
from fashionai.families import find_task
from fashionai.metrics import SCORE_NAMES
from fashionai.runs import find_folds, open_runs
from fashionai.tasks import tasks_to_json

SCORES = dict.fromkeys(SCORE_NAMES, 0.5)
TASK = find_task("skirt")
FILES: dict[str, bytes] = {
    "config.yaml": dump_config(Config(task="skirt")).encode(),
    "classes.json": json.dumps(tasks_to_json([TASK]), indent=1).encode(),
    "metrics.json": json.dumps(
        {
            "finished": True,
            "stopped_early": False,
            "epochs": 3,
            "monitor": "map",
            "weights": "best.params",
            "best_epoch": 2,
            "best": SCORES,
            "tasks": {TASK.name: SCORES},
            "by_weights": {"best.params": {"best_epoch": 2, **SCORES}},
            "seconds": 1.5,
        },
        indent=1,
    ).encode(),
}
SETTINGS = b"folds: 2\nstratified: true\ngrouped_by_content: true\ncrops: 10\ndata: 0a1b\n"


class Case(NamedTuple):
    """The name of a file and its content; an empty name stands for a sound run."""

    name: str
    content: bytes


def make(rng: random.Random) -> Case:
    """One file."""
    name = rng.choice(["", *FILES, *FILES, "cross_validation.yaml"])
    content = FILES.get(name, SETTINGS if name else b"")
    if name.endswith(".json") and rng.random() < 0.6:
        return Case(name, odd_json(json.loads(content), rng).encode("utf-8", "surrogatepass"))
    return Case(name, damaged(content, rng) if name else content)


def check(case: Case, folder: Path) -> str:
    """List the run, print its configuration and open it, as all commands do."""
    place = folder / ("runs/folds/fold-1" if case.name == "cross_validation.yaml" else "runs/a")
    place.mkdir(parents=True)
    for name, content in FILES.items():
        (place / name).write_bytes(content)
    (place / "best.params").touch()
    if case.name:
        file = place / case.name
        (place.parent / case.name if case.name not in FILES else file).write_bytes(case.content)
    words = [verdict(run_command("runs", str(place.parent)))]
    words.append(verdict(run_command("config", str(place / "config.yaml"))))
    try:
        for run in open_runs([place if case.name in ("", *FILES) else place.parent]):
            assert run.columns
            assert isinstance(run.is_finished, bool)
            assert run.weights_file.parent == run.path
        find_folds(place.parent)
    except FashionAIError:
        words.append("refused")
    refused = "refused" in words
    assert not (refused and not case.name), "a sound run was refused"
    return "refused" if refused else "accepted"
