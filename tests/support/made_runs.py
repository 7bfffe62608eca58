"""Folders of runs that were not trained, for networks with chosen weights."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from fashionai.files import write_json
from fashionai.tasks import Task, tasks_to_json

CONFIG = """\
task: made
model: {{name: {network}, pretrained: false}}
data: {{crop: {crop}, resize_short: {crop}}}
"""


def write_run(folder: Path, network: str, crop: int, classes: Sequence[str]) -> Path:
    """A finished run of one task ``made`` that lacks best.params alone; returns the folder."""
    folder.mkdir(parents=True)
    (folder / "config.yaml").write_text(CONFIG.format(network=network, crop=crop))
    write_json(folder / "classes.json", tasks_to_json([Task("made", (), tuple(classes), "table")]))
    write_json(folder / "metrics.json", {"finished": True, "epochs": 1, "tasks": {}})
    return folder
