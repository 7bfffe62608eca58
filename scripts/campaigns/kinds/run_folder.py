"""The text files of run folders and of cross-validations, one of them damaged or of odd content."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any, NamedTuple

from commands import run_command, verdict
from damage import ODD_VALUES, damaged

# Imported before the fork: they cost a second.
import fashionai.cli.runs
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
        return Case(name, _odd_json(json.loads(content), rng).encode("utf-8", "surrogatepass"))
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


def _odd_json(tree: Any, rng: random.Random) -> str:
    """The JSON text of a tree in which one value is another, or one key is missing."""
    nodes = [tree]
    for node in nodes:  # grows: all dictionaries and lists below
        children = node.values() if isinstance(node, dict) else node
        nodes += [child for child in children if isinstance(child, (dict, list)) and child]
    node = rng.choice(nodes)
    key = rng.choice(list(node)) if isinstance(node, dict) else rng.randrange(len(node))
    if rng.random() < 0.2:
        del node[key]
        return json.dumps(tree)
    mark = "a mark that stands for another text"
    node[key] = mark
    others = ["null", "true", "0", "-1", "1e400", "NaN", "[]", "{}", "[[]]", '{"a": 1}', "9" * 5000]
    others += ["[" * 3000, "[" * 100_000, '""', json.dumps(rng.choice(ODD_VALUES)), '"../../x"']
    return json.dumps(tree).replace(json.dumps(mark), rng.choice(others))
