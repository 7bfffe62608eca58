"""What is refused changes no byte of a run, and what a kill leaves is taken up again."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from fashionai.config import load_config
from fashionai.errors import RunError, RunStoppedError
from fashionai.files.locks import LOCK_FILE, locked
from fashionai.frameworks.mxnet import import_mxnet
from fashionai.runs import Run, RunFolder, create_run, remove_run
from fashionai.training.start import check_overwrite
from fashionai.training.trainer import Trainer
from tests.support.commands import fashionai, run_here
from tests.support.resuming import Moment, parameters, stop_in_step
from tests.support.trained_runs import write_config

mx = import_mxnet()


def content(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir()) if path.is_file()}


@pytest.fixture
def work(prepared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the prepared skirts that a test may change, as the current folder."""
    folder = Path(shutil.copytree(prepared, tmp_path / "work"))
    monkeypatch.chdir(folder)
    write_config(folder, epochs=3)
    return folder


@pytest.fixture
def stopped(work: Path) -> RunFolder:
    """A run that was stopped in its second epoch."""
    run = create_run(Path("runs/stopped"))
    trainer = Trainer(load_config(Path("small.yaml")), [mx.cpu()])
    stop_in_step(trainer, Moment(14))
    with pytest.raises(RunStoppedError, match="stopped in epoch 2"):
        trainer.fit(run)
    return run


def swap_classes() -> None:
    """Prepare the skirts' folder anew as if Short and Knee had each other's name."""
    file = Path("data/train_valid/skirt_length_labels/task.json")
    described = json.loads(file.read_text())
    described["classes"][1:3] = described["classes"][2:0:-1]
    file.write_text(json.dumps(described))
    train = file.parent / "train"
    for split in ("train", "val"):
        one, other = (file.parent / split / name for name in ("1_Short", "2_Knee"))
        one.rename(file.parent / split / "1_Knee")
        other.rename(file.parent / split / "2_Short")
    manifest = file.parent / "manifest.csv"
    lines = manifest.read_text().replace("Short", "@").replace("Knee", "Short").replace("@", "Knee")
    manifest.write_text(lines)
    assert (train / "1_Knee").is_dir()


def test_a_refused_resume_keeps_the_names_of_the_classes(
    stopped: RunFolder, capsys: pytest.CaptureFixture[str]
) -> None:
    before = content(stopped.path)
    swap_classes()
    assert fashionai("train", "--run", stopped, "--resume") == 2
    assert "the prepared folder has changed" in capsys.readouterr().err
    assert content(stopped.path) == before


def test_a_resume_on_other_devices_leaves_all_files(stopped: RunFolder) -> None:
    before = content(stopped.path)
    config = Run(stopped).config
    with pytest.raises(RunError, match="resumed on 2 cpu"):
        Trainer(config, [mx.cpu(0), mx.cpu(1)], Run(stopped)).fit(stopped)
    assert content(stopped.path) == before


@pytest.mark.parametrize(
    ("key", "target", "name"),
    [
        ("data.folder", "data", "train_valid"),
        ("data.folds_file", "lists", "folds.csv"),
    ],
)
def test_what_a_link_in_the_run_leads_to_is_not_lost(
    stopped: RunFolder, key: str, target: str, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("lists").mkdir()
    Path("lists/folds.csv").write_text("file,fold\n")
    link = stopped.path / "link"
    link.symlink_to(Path(target).absolute())
    before = content(stopped.path)
    command = ["train", "--config", "small.yaml", "--run", stopped, "--overwrite", "data.fold=1"]
    Path("around").symlink_to(stopped.path)
    for file in (link / name, Path("around/link", name)):
        assert fashionai(*command, "data.folds_file=lists/folds.csv", f"{key}={file}") == 2
        told = f"Error: {key}: {file} is lost when --overwrite deletes {stopped}."
        assert capsys.readouterr().err.startswith(told)
    assert content(stopped.path) == before


def test_a_folder_beside_the_run_is_not_lost(stopped: RunFolder) -> None:
    Path("runs/stopped-data").symlink_to(Path("data/train_valid").absolute())
    for folder in ("runs/stopped-data", f"{stopped}/../stopped-data"):
        check_overwrite(stopped.path, [("data.folder", folder)])


def test_last_parameters_are_those_of_the_last_finished_epoch(stopped: RunFolder) -> None:
    """Also after a resume that begins within an epoch, and is stopped within it again."""
    first = parameters(stopped.last_parameters)
    trainer = Trainer(Run(stopped).config, [mx.cpu()], Run(stopped))
    stop_in_step(trainer, Moment(2))
    with pytest.raises(RunStoppedError, match="stopped in epoch 2"):
        trainer.fit(stopped)
    again = parameters(stopped.last_parameters)
    assert all(np.array_equal(first[name], again[name]) for name in first)
    learnt = trainer.learner.network._collect_params_with_prefix()
    assert not np.array_equal(learnt["output.weight"].data().asnumpy(), first["output.weight"])


def test_a_run_that_is_begun_meanwhile_is_left_alone(work: Path, stopped: RunFolder) -> None:
    """As when a process is held up between making the folder and its first write."""
    other = Trainer(load_config(Path("small.yaml"), ["optimizer.lr=0.5"]), [mx.cpu()])
    before = content(stopped.path)
    with pytest.raises(RunError, match="has been begun by another process meanwhile"):
        other.fit(stopped)
    assert content(stopped.path) == before


@pytest.fixture
def training(work: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process that trains runs/live for as long as a test needs it."""
    command = [sys.executable, "-m", "fashionai", "train", "--config", "small.yaml"]
    process = subprocess.Popen(
        [*command, "--run", "runs/live", "epochs=500"],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    deadline = time.monotonic() + 60
    while not Path("runs/live/history.csv").is_file():
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.05)
    yield process
    if process.poll() is None:
        process.kill()
        process.wait()


def test_a_live_run_is_not_overwritten(
    training: subprocess.Popen[str], capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["--config", "small.yaml", "--run", "runs/live", "--overwrite"]
    assert fashionai("train", *arguments) == 2
    assert capsys.readouterr().err == "Error: runs/live: is being trained by another process\n"
    assert Path("runs/live/config.yaml").is_file()
    assert [path.name for path in Path("runs").iterdir() if path.name.endswith(".removed")] == []
    training.send_signal(signal.SIGTERM)
    output, _ = training.communicate(timeout=60)
    assert training.returncode == 130, output
    remove_run(Path("runs/live"))
    assert list(Path("runs").iterdir()) == []


def test_a_closed_terminal_and_a_second_signal_save_the_state(
    training: subprocess.Popen[str],
) -> None:
    training.send_signal(signal.SIGHUP)
    training.send_signal(signal.SIGTERM)
    output, _ = training.communicate(timeout=60)
    assert training.returncode == 130, output
    assert "the state is saved" in output
    assert "Traceback" not in output


def test_a_closed_pipe_does_not_end_a_training(work: Path) -> None:
    """As ``train | head -1``, and ``2>&1 | tee`` when Ctrl-C has ended tee first."""
    command = f"{sys.executable} -m fashionai train --config small.yaml --run runs/piped 2>&1"
    subprocess.run(["bash", "-c", f"{command} | head -1"], timeout=120, check=True)
    assert Run.open(Path("runs/piped")).is_finished


@pytest.mark.parametrize("closed", [">&-", "<&- >&- 2>&-"])
def test_closed_streams_are_no_reason_to_stop(work: Path, closed: str) -> None:
    """Files that are opened meanwhile must not become the standard output either."""
    command = f"{sys.executable} -m fashionai train --config small.yaml --run runs/closed epochs=1"
    done = subprocess.run(["bash", "-c", f"{command} {closed}"], capture_output=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert Run.open(Path("runs/closed")).is_finished
    assert json.loads(Path("runs/closed/metrics.json").read_text())["epochs"] == 1


def test_what_a_kill_leaves_of_a_beginning_may_be_overwritten(tmp_path: Path) -> None:
    remains = tmp_path / "runs/skirt"
    remains.mkdir(parents=True)
    for name in (LOCK_FILE, ".beginning", "classes.json", ".config.yaml.0123456789abcdef.tmp"):
        (remains / name).write_text("")
    remove_run(remains)
    assert not remains.exists()


def test_a_folder_in_which_another_process_begins_is_taken(tmp_path: Path) -> None:
    wanted = tmp_path / "runs/skirt"
    create_run(wanted)
    with locked(wanted / LOCK_FILE, RunError("busy")):
        assert create_run(wanted).path == tmp_path / "runs/skirt-2"
        with pytest.raises(RunError, match="is being trained by another process"):
            remove_run(wanted)
    assert not any(wanted.iterdir())


def test_a_removal_that_was_killed_is_finished_by_the_next_run(tmp_path: Path) -> None:
    removed = tmp_path / "runs/.skirt.0123456789abcdef.removed"
    removed.mkdir(parents=True)
    (removed / "best.params").write_text("half")
    create_run(tmp_path / "runs/skirt")
    assert not removed.exists()


def test_the_lock_that_a_kill_leaves_in_a_finished_run_is_removed(work: Path) -> None:
    """Killed before it could remove the lock; the lock of a live process stays."""
    arguments = ("train", "--config", "small.yaml", "--run", "runs/done", "--resume", "epochs=1")
    assert run_here(*arguments, cwd=work).returncode == 0
    lock = Path("runs/done/.lock")
    lock.touch()
    assert run_here(*arguments, cwd=work).returncode == 0
    assert not lock.exists()
    with locked(lock, RunError("busy")):
        assert run_here(*arguments, cwd=work).returncode == 0
        assert lock.exists()
