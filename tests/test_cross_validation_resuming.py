"""How a cross-validation goes on: to the same end, or refused."""

from __future__ import annotations

import json
import shlex
import shutil
import signal
from pathlib import Path

import pytest

from fashionai.cross_validation import CrossValidation
from fashionai.progress import no_bar
from fashionai.runs import Run, RunFolder
from tests.support.commands import fashionai
from tests.support.cross_validations import FOLDS
from tests.support.pausing import go_on, start_until
from tests.support.prepared_data import TASKS


@pytest.fixture
def work(crossed: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The finished cross-validation, in its current folder."""
    monkeypatch.chdir(crossed)
    return Path("runs/both")


def contents(work: Path) -> dict[str, bytes]:
    """The files that are to be the same however often a cross-validation was stopped."""
    names = ["folds.csv", "out_of_fold.csv", "scores.json", "config.base.yaml"]
    names += [f"fold-{number}/best.params" for number in range(1, FOLDS + 1)]
    return {name: (work / name).read_bytes() for name in names}


def test_a_finished_one_goes_on_to_the_same_end(
    work: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Also where the folder was moved, with other threads, and with the lock of a kill."""
    moved = tmp_path / "moved"
    shutil.copytree(work, moved)
    (moved / "fold-1/.lock").touch()
    (moved / "out_of_fold.csv").unlink()
    (moved / "scores.json").write_text("half a fi")
    arguments = ["--run", moved, "--resume", "--crops", "5"]
    assert fashionai("cross-validate", *arguments, "data.workers=1") == 0
    assert capsys.readouterr().out.count("already finished") == FOLDS
    expected, found = contents(work), contents(moved)
    assert b"workers: 1" in found.pop("config.base.yaml")
    assert found == {name: expected[name] for name in found}
    assert not (moved / "fold-1/.lock").exists()


def test_in_python_the_devices_need_not_be_named(work: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(work, copy)
    (copy / "scores.json").unlink()
    scores = CrossValidation(copy).run(no_bar)
    assert scores.to_json() == json.loads((work / "scores.json").read_text())
    assert contents(copy) == contents(work)


@pytest.mark.parametrize(
    ("arguments", "found"),
    [
        (["--folds", "4"], "folds: 3, not 4"),
        (["--not-stratified", "epochs=9"], "epochs: 4, not 9; stratified: True, not False"),
        (["--not-grouped-by-content"], "grouped_by_content: True, not False"),
        (["--config", "both.yaml", "optimizer.lr=0.5"], "optimizer.lr: 0.002, not 0.5"),
    ],
)
def test_resume_refuses_other_settings(
    work: Path, arguments: list[str], found: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert fashionai("cross-validate", "--run", work, "--resume", *arguments) == 2
    assert capsys.readouterr().err == (
        f"Error: runs/both: was begun with other settings ({found}). Resume without them, "
        "or give --overwrite or another --run\n"
    )


def test_a_refused_resume_changes_no_configuration(work: Path) -> None:
    before = contents(work)
    arguments = ["data.workers=7", "--gpus", "99"]
    assert fashionai("cross-validate", "--run", work, "--resume", *arguments) == 2
    assert contents(work) == before


def test_resume_refuses_a_fold_that_was_trained_in_another_way(
    work: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(work, copy)
    config = copy / "fold-2/config.yaml"
    config.write_text(config.read_text().replace("epochs: 4", "epochs: 5"))
    assert fashionai("cross-validate", "--run", copy, "--resume") == 2
    assert "fold-2: was begun with another configuration (epochs: 5, not 4)" in (
        capsys.readouterr().err
    )


def test_resume_refuses_images_that_were_prepared_anew(
    work: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Even where every fold is finished and all images have kept their names."""
    for name in ("data", "runs"):
        shutil.copytree(name, tmp_path / name)
    monkeypatch.chdir(tmp_path)
    manifest = Path("data/train_valid") / TASKS[1] / "manifest.csv"
    manifest.write_text(manifest.read_text().replace("nynnnn", "nymnnn"))
    assert fashionai("cross-validate", "--run", work, "--resume") == 2
    assert capsys.readouterr().err == (
        "Error: runs/both: the prepared folder has changed. Prepare it as it was, or give "
        "--overwrite or another --run\n"
    )


def test_a_taken_folder_is_kept_unless_it_may_be_overwritten(
    work: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    start = ["cross-validate", "--config", "both.yaml", "--crops", "1", "--folds", "2"]
    small = ["task=pant", "epochs=1", "batch_size=32"]
    assert fashionai(*start, *small) == 0
    assert "cross-validation -> runs/pant-folds\n" in capsys.readouterr().out
    first = Path("runs/pant-folds/folds.csv").read_bytes()
    assert fashionai(*start, *small, "seed=4", "--not-stratified") == 0
    out = capsys.readouterr().out
    assert (
        "runs/pant-folds exists, so this is runs/pant-folds-2 (use --resume or --overwrite" in out
    )
    assert Path("runs/pant-folds/folds.csv").read_bytes() == first
    assert Path("runs/pant-folds-2/folds.csv").read_bytes() != first
    Path("runs/pant-folds/fold-7").mkdir()
    assert fashionai(*start, *small, "seed=4", "--overwrite") == 0
    assert not Path("runs/pant-folds/fold-7").exists()
    assert Path("runs/pant-folds/folds.csv").read_bytes() != first
    assert not Path("runs/pant-folds-3").exists()


def test_more_folds_than_images_are_refused(work: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["--config", "both.yaml", "task=pant", "--folds", "31", "--run", "runs/many"]
    assert fashionai("cross-validate", *arguments) == 2
    assert capsys.readouterr().err == (
        "Error: pant_length_labels: too few images for 31 folds: 30. Give fewer --folds\n"
    )


def test_killed_in_a_fold_and_between_folds_nothing_is_lost(
    work: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Killed in fold 2, which is then finished by itself; interrupted in fold 3."""
    stopped = Path("runs/stopped")
    options = ["--run", str(stopped), "--crops", "5"]
    begin = ("cross-validate", "--config", "both.yaml", "--folds", FOLDS, *options)
    process = start_until(stopped / "fold-2/history.csv", *begin)
    process.kill()
    process.communicate()
    assert not Run(RunFolder(stopped / "fold-2")).is_finished
    assert not (stopped / "fold-3").exists()
    assert fashionai("predict", "--out", "none.csv", "--run", stopped) == 2
    assert capsys.readouterr().err == (
        "Error: runs/stopped/fold-2: this fold is not finished. "
        "Resume with: fashionai cross-validate --run runs/stopped --resume\n"
    )
    assert fashionai("train", "--run", stopped / "fold-2", "--resume") == 0

    resume = ("cross-validate", *options, "--resume")
    process = start_until(stopped / "fold-3/history.csv", *resume)
    go_on(process, signal.SIGINT)
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 130, output
    assert "fold 3 of 3: stopped in epoch" in output
    assert output.count("already finished") == 2
    _, _, command = output.strip().partition("Resume with: fashionai ")
    assert command == "cross-validate --run runs/stopped --resume"
    assert fashionai(*shlex.split(command)) == 0
    assert contents(stopped) == contents(work)
