"""Folders that are not runs are neither taken nor deleted, and deleted runs are not listed."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from fashionai.config import Config, save_config
from fashionai.errors import RunError
from fashionai.families import find_task
from fashionai.files import write_json
from fashionai.files.locks import LOCK_FILE
from fashionai.reporting.live import live_table
from fashionai.runs import best_finished_runs, create_run, find_runs, holds_run, remove_run
from fashionai.tasks import tasks_to_json
from tests.support.commands import fashionai
from tests.support.data_trees import tree

REMOVED = ".skirt.0123456789abcdef.removed"


def make_run(path: Path, score: float = 0.5) -> Path:
    run = create_run(path)
    task = find_task("skirt")
    save_config(Config(task="skirt"), run.config_file)
    write_json(run.classes_file, tasks_to_json([task]))
    scores = {"map": score}
    write_json(run.metrics_file, {"finished": True, "best": scores, "tasks": {task.name: scores}})
    return path


def make_cross_validation(path: Path) -> Path:
    path.mkdir(parents=True)
    (path / "cross_validation.yaml").write_text("folds: 2\n")
    save_config(Config(task="skirt"), path / "config.base.yaml")
    make_run(path / "fold-1")
    return path


@pytest.mark.parametrize("make", [make_run, make_cross_validation])
def test_what_is_being_deleted_is_not_listed(
    tmp_path: Path,
    make: Callable[[Path], Path],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A hidden folder that the user has named is a run as any other."""
    monkeypatch.chdir(tmp_path)
    make(Path("runs", REMOVED))
    assert live_table(Path("runs")) == "no runs yet"
    assert fashionai("runs") == 2
    assert "Error: runs: no runs found. Give another folder, or train a run" in (
        capsys.readouterr().err
    )
    for name in ("skirt", ".hidden"):
        shutil.copytree(Path("runs", REMOVED), Path("runs", name))
    assert fashionai("runs") == 0
    out = capsys.readouterr().out
    assert "runs/skirt" in out
    assert "runs/.hidden" in out
    assert ".removed" not in out
    assert ".removed" not in live_table(Path("runs"))


def test_a_run_that_is_being_deleted_does_not_predict(tmp_path: Path) -> None:
    removed, skirt = make_run(tmp_path / "gone", 0.99), make_run(tmp_path / "skirt", 0.5)
    removed.rename(tmp_path / REMOVED)
    task = find_task("skirt")
    best = best_finished_runs([task], find_runs(tmp_path))
    assert [run.path for run in best[task]] == [skirt]


@pytest.mark.parametrize(
    "name",
    [
        *(".backup.removed", "skirt.0123456789abcdef.removed", ".0123456789abcdef.removed"),
        *(".skirt.0123456789ABCDEF.removed", ".skirt.0123456789abcdef.removed.zip"),
    ],
)
def test_a_hidden_folder_of_the_users_own_is_not_deleted(tmp_path: Path, name: str) -> None:
    own = tmp_path / "runs" / name / "thesis.tex"
    own.parent.mkdir(parents=True)
    own.write_text("mine")
    create_run(tmp_path / "runs/skirt")
    assert own.read_text() == "mine"


@pytest.fixture
def beginner(tmp_path: Path) -> Iterator[None]:
    """Runs that are begun in the same folder meanwhile, one after the other."""
    stop = threading.Event()

    def begin() -> None:
        while not stop.is_set():
            create_run(tmp_path / "other")

    thread = threading.Thread(target=begin)
    thread.start()
    yield
    stop.set()
    thread.join()


def test_a_run_may_be_deleted_while_others_begin(tmp_path: Path, beginner: None) -> None:
    for _ in range(5):
        run = make_run(tmp_path / "skirt")
        for number in range(500):
            (run / f"{number}.params").touch()
        remove_run(run)
        assert not run.exists()
    assert {path.name for path in tmp_path.iterdir()} <= {"other"}


FILES = ("classes.json", "config.base.yaml", "folds.csv", "space.yaml")


@pytest.mark.parametrize("name", [*FILES, "config.yaml", "thesis.tex"])
def test_files_of_the_users_own_are_not_taken_for_a_beginning(tmp_path: Path, name: str) -> None:
    place = tmp_path / "runs/skirt"
    place.mkdir(parents=True)
    (place / name).write_text("# mine\n")
    before = tree(place)
    assert create_run(place).path == tmp_path / "runs/skirt-2"
    with pytest.raises(RunError, match="holds other files than those of a run"):
        create_run(place, exactly=True)
    with pytest.raises(RunError, match=r"skirt: not a run \(expected config\.yaml and"):
        remove_run(place)
    assert tree(place) == before


def test_nor_are_they_beside_files_of_a_killed_beginning(tmp_path: Path) -> None:
    place = tmp_path / "runs/skirt"
    place.mkdir(parents=True)
    for name in (".beginning", LOCK_FILE, "classes.json", ".config.yaml.0123456789abcdef.tmp"):
        (place / name).touch()
    assert create_run(place).path == place
    (place / "thesis.tex").write_text("mine")
    assert create_run(place).path == tmp_path / "runs/skirt-2"
    with pytest.raises(RunError, match="not a run"):
        remove_run(place)
    assert (place / "thesis.tex").read_text() == "mine"


def test_a_link_to_a_run_is_kept(tmp_path: Path) -> None:
    run, link = make_run(tmp_path / "disk/skirt"), tmp_path / "skirt"
    link.symlink_to(run)
    before = tree(run)
    with pytest.raises(RunError, match=rf"skirt: is a link, so it is not overwritten. Name {run}$"):
        remove_run(link)
    assert holds_run(link)
    assert tree(run) == before
