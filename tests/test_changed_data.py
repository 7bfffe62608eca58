"""A run is not scored in silence on a folder that was prepared again since it was trained."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from tests.support.commands import run_here

COMMANDS = [
    ("evaluate", "--run", "runs-cnn/skirt", "--crops", "1"),
    ("predict", "--split", "val", "--run", "runs-cnn/skirt", "--crops", "1", "--out", "val.csv"),
    ("quantize", "--run", "runs-cnn/skirt", "--max-loss", "1"),
]
WARNING = (
    "runs-cnn/skirt may have been trained on some of these images: "
    "the prepared folder has changed\n"
)


@pytest.fixture(scope="module")
def own(trained_cnn: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the prepared folder and of the run that was trained on it."""
    folder = tmp_path_factory.mktemp("changed") / "skirts"
    return Path(shutil.copytree(trained_cnn.parent.parent, folder))


def output(folder: Path, *arguments: str) -> str:
    done = run_here(*arguments, cwd=folder)
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


def prepare(folder: Path, seed: int) -> None:
    output(folder, "prepare", "--task", "skirt", "--seed", str(seed))


def test_commands_warn_of_a_folder_that_has_changed(own: Path) -> None:
    prepare(own, seed=3)
    assert all(output(own, *command).count(WARNING) == 1 for command in COMMANDS)
    prepare(own, seed=0)
    assert all("has changed" not in output(own, *command) for command in COMMANDS)


def test_a_report_tells_a_folder_that_has_changed(own: Path) -> None:
    """Beside the images that it counts and the commands that train again."""
    page = own / "report.html"
    for seed, said in ((3, True), (0, False)):
        prepare(own, seed)
        output(own, "report", "runs-cnn/skirt", "--crops", "1", "--out", str(page), "--overwrite")
        text = page.read_text()
        since = "data of <bdi>runs-cnn/skirt</bdi> have changed since the training"
        assert (since in text) is said
        assert ("but on other images: the prepared data have changed" in text) is said


def test_a_run_that_does_not_know_its_data_gives_no_warning(own: Path) -> None:
    file = own / "runs-cnn/skirt/metrics.json"
    metrics = json.loads(file.read_text())
    del metrics["data_hash"]
    file.write_text(json.dumps(metrics))
    prepare(own, seed=3)
    assert "has changed" not in output(own, *COMMANDS[0])
