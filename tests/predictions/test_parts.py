"""Long predictions in parts: what is killed goes on, and nothing of another prediction is used."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from fashionai.files import file_hash
from fashionai.frameworks.mxnet import import_mxnet
from fashionai.frameworks.processes import ALONE
from fashionai.predictions import in_parts
from fashionai.predictions.parts import open_parts
from fashionai.predictions.predict import Request, predict
from fashionai.predictions.scaling import Calibration, Scaling
from fashionai.runs import Run
from tests.support.commands import fashionai, files_of_at_most
from tests.support.small_parts import PART_IMAGES
from tests.support.trained_runs import replace_weights

mx = import_mxnet()

FOLDER = Path(".p.csv.parts")
# 18 images in parts of 4.
OPTIONS = ("--run", "runs/skirt", "--engine", "gluon", "--crops", "1", "--batch-size", "2")
IMAGES = "data/rank/Images/skirt_length_labels"


@pytest.fixture(autouse=True)
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(in_parts, "PART_IMAGES", PART_IMAGES)


@pytest.fixture(scope="module")
def killed(trained: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a prediction of five parts that was killed after two, and its whole.csv."""
    folder = tmp_path_factory.mktemp("killed")
    for name in ("data", "runs"):
        shutil.copytree(trained / name, folder / name)
    program = [sys.executable, "-m", "tests.support.small_parts"]
    path = f"{Path.cwd()}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"
    process = subprocess.Popen(
        [*program, "predict", "--out", "p.csv", *OPTIONS],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": path, "PAUSE_AFTER": "2"},
    )
    assert os.WIFSTOPPED(os.waitpid(process.pid, os.WUNTRACED)[1])
    process.send_signal(signal.SIGKILL)
    process.wait()
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setattr(in_parts, "PART_IMAGES", 1024)
        assert fashionai("predict", "--out", "whole.csv", *OPTIONS) == 0
    return folder


@pytest.fixture
def work(killed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = shutil.copytree(killed, tmp_path / "work")
    monkeypatch.chdir(folder)
    return folder


def parts() -> list[str]:
    return sorted(file.name for file in FOLDER.glob("run*.npz"))


def same(path: str = "p.csv", other: str = "whole.csv") -> bool:
    return Path(path).read_bytes() == Path(other).read_bytes()


def test_a_prediction_that_was_killed_goes_on(
    work: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert parts() == ["run0-000000.npz", "run0-000001.npz"]
    before = {name: (FOLDER / name).stat().st_mtime_ns for name in parts()}
    monkeypatch.setattr("fashionai.predictions.soundness.find_damage", None)  # not opened again
    assert not Path("p.csv").exists()
    computed = []
    predict = in_parts.predict_with_engine

    def noting(engine: object, run: object, images: list, **options: object) -> object:
        computed.append(len(images))
        return predict(engine, run, images, **options)

    monkeypatch.setattr(in_parts, "predict_with_engine", noting)
    assert fashionai("predict", "--out", "p.csv", *OPTIONS, "--resume") == 0
    assert same()
    assert computed == [4, 4, 2]
    assert len(before) == 2
    assert not FOLDER.exists()
    told = f"{FOLDER}: 2 parts of up to 4 images each are finished, the others follow\n"
    assert told in capsys.readouterr().out


def test_without_resume_nothing_is_used(work: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert fashionai("predict", "--out", "p.csv", *OPTIONS) == 2
    assert capsys.readouterr().err == (
        f"Error: {FOLDER}: holds the results of an interrupted prediction, 2 parts of up to 4 "
        "images each. Go on with --resume, or discard them with --overwrite\n"
    )
    assert len(parts()) == 2
    assert fashionai("predict", "--out", "p.csv", *OPTIONS, "--overwrite") == 0
    assert same()
    assert not FOLDER.exists()


@pytest.mark.parametrize("variable", ["TORCHELASTIC_RESTART_COUNT", "SLURM_RESTART_COUNT"])
def test_a_restart_goes_on(
    work: Path, monkeypatch: pytest.MonkeyPatch, variable: str, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(variable, "1")
    assert fashionai("predict", "--out", "p.csv", *OPTIONS, "--overwrite") == 0
    assert same()
    assert "2 parts of up to 4 images each are finished" in capsys.readouterr().out


def test_a_restart_discards_another_prediction_where_that_was_asked_for(
    work: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SLURM_RESTART_COUNT", "1")
    other = (*OPTIONS, "--batch-size", "4")
    assert fashionai("predict", "--out", "p.csv", *other) == 2
    assert "discard the parts with --overwrite" in capsys.readouterr().err
    assert fashionai("predict", "--out", "p.csv", *other, "--overwrite") == 0
    assert Path("p.csv").is_file()
    assert not FOLDER.exists()


def test_ctrl_c_tells_how_to_go_on(
    work: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The command that it prints ends with the file of an uninterrupted prediction."""
    predict = in_parts.predict_with_engine

    def interrupted(*arguments: object, **options: object) -> object:
        if len(parts()) == 4:
            raise KeyboardInterrupt
        return predict(*arguments, **options)

    monkeypatch.setattr(in_parts, "predict_with_engine", interrupted)
    assert fashionai("predict", "--out", "p.csv", *OPTIONS, "--overwrite") == 130
    *_, hint, _, end = capsys.readouterr().err.splitlines()
    begin, _, command = hint.partition(". Resume with: fashionai ")
    assert begin == "stopped: about 16 of 18 images are predicted"
    assert (end, len(parts())) == ("Interrupted.", 4)
    assert "--overwrite" not in command
    monkeypatch.setattr(in_parts, "predict_with_engine", predict)
    assert fashionai(*shlex.split(command)) == 0
    assert same()


def test_without_a_terminal_lines_tell_the_progress(
    work: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fashionai.cli.terminal.progress.SECONDS_BETWEEN_LINES", 0)
    assert fashionai("predict", "--out", "p.csv", *OPTIONS, "--overwrite") == 0
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("predicting")]
    done = [re.fullmatch(r"predicting, \d+ crops?: (\d+) of 18 images, .*", line) for line in lines]
    assert [int(each[1]) for each in done if each] == [*range(2, 20, 2)]
    assert all(" images/s, about " in line and line.endswith(" left") for line in lines[:-1])
    assert lines[-1].endswith(" images/s")


def other_questions() -> None:
    file = Path("data/rank/Tests/question.csv")
    file.write_text("".join(file.read_text().splitlines(keepends=True)[1:]))


def other_weights() -> None:
    weights = mx.nd.load("runs/skirt/best.params")
    replace_weights(Path("runs/skirt"), {name: 2 * array for name, array in weights.items()})


@pytest.mark.parametrize(
    ("options", "change", "difference"),
    [
        (("--crops", "10"), None, "crops: 1, not 10"),
        (("--batch-size", "4"), None, "batch size: 2, not 4"),
        (("--engine", "onnx"), None, "engine: gluon, not onnx"),
        ((), other_questions, "other images"),
        ((), other_weights, "other runs"),
    ],
)
def test_parts_of_another_prediction_are_refused(
    work: Path, capsys: pytest.CaptureFixture[str], options: tuple, change: object, difference: str
) -> None:
    if callable(change):
        change()
    before = {name: file_hash(FOLDER / name) for name in parts()}
    assert fashionai("predict", "--out", "p.csv", *OPTIONS, *options, "--resume") == 2
    assert capsys.readouterr().err == (
        f"Error: {FOLDER}: holds parts of another prediction ({difference}). "
        "Give the same options, or discard the parts with --overwrite\n"
    )
    assert {name: file_hash(FOLDER / name) for name in parts()} == before


def test_a_damaged_part_is_computed_again(work: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first, second = (FOLDER / name for name in parts())
    first.write_bytes(first.read_bytes()[:100])
    content = bytearray(second.read_bytes())
    content[content.index(b"values") + 200] ^= 1
    second.write_bytes(content)
    assert fashionai("predict", "--out", "p.csv", *OPTIONS, "--resume") == 0
    assert same()
    told = capsys.readouterr().out
    assert all(f"{FOLDER / name}: " in told for name in ("run0-000000.npz", "run0-000001.npz"))


def test_other_files_in_the_folder_stay(work: Path) -> None:
    (FOLDER / "mine.npz").write_text("x")
    assert fashionai("predict", "--out", "p.csv", *OPTIONS, "--resume") == 0
    assert [file.name for file in FOLDER.iterdir()] == ["mine.npz"]


def test_bad_images_are_found_part_by_part(
    work: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.rmtree(FOLDER)
    bad = [sorted(Path(IMAGES).iterdir())[at] for at in (0, 7, 17)]
    for image in bad:
        image.write_bytes(image.read_bytes()[:200])
    assert fashionai("predict", "--out", "p.csv", *OPTIONS) == 2
    assert "Error: 3 of 18 images cannot be used\n" in capsys.readouterr().err
    assert not FOLDER.exists()
    assert fashionai("predict", "--out", "p.csv", *OPTIONS, "--skip-bad") == 0
    left_out = capsys.readouterr().err
    assert all(f"left out: {image}: " in left_out for image in bad)
    monkeypatch.setattr(in_parts, "PART_IMAGES", 1024)
    assert fashionai("predict", "--out", "alone.csv", *OPTIONS, "--skip-bad") == 0
    assert same("p.csv", "alone.csv")
    assert len(Path("p.csv").read_text().splitlines()) == 15


def test_a_full_disk_names_the_part_and_the_rest_goes_on(
    work: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with files_of_at_most(900):
        assert fashionai("predict", "--out", "p.csv", *OPTIONS, "--resume") == 2
    error = capsys.readouterr().err
    assert error.startswith(f"Error: {FOLDER / 'run0-000002.npz'}: ")
    assert len(error.splitlines()) == 1
    assert len(parts()) == 2
    assert fashionai("predict", "--out", "p.csv", *OPTIONS, "--resume") == 0
    assert same()


def test_an_output_that_does_not_fit_leaves_the_parts(
    work: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with files_of_at_most(1500):
        assert fashionai("predict", "--out", "p.csv", *OPTIONS, "--resume") == 2
    error = capsys.readouterr().err
    assert error.startswith("Error: p.csv: ")
    assert len(error.splitlines()) == 1
    assert not Path("p.csv").exists()
    assert len(parts()) == 5
    assert fashionai("predict", "--out", "p.csv", *OPTIONS, "--resume") == 0
    assert same()


def test_a_file_in_place_of_the_folder(work: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.rmtree(FOLDER)
    FOLDER.write_text("mine")
    assert fashionai("predict", "--out", "p.csv", *OPTIONS) == 2
    expected = f"Error: {FOLDER}: is a file, expected a folder to write to\n"
    assert capsys.readouterr().err == expected
    assert FOLDER.read_text() == "mine"


@pytest.mark.parametrize("layout", ["competition", "table"])
def test_several_runs_are_averaged_as_in_memory(
    work: Path, monkeypatch: pytest.MonkeyPatch, layout: str
) -> None:
    shutil.copytree("runs/skirt", "runs/other")
    weights = mx.nd.load("runs/other/best.params")
    replace_weights(Path("runs/other"), {name: 0.9 * array for name, array in weights.items()})
    options = [*OPTIONS, "--run", "runs/other", "--format", layout]
    assert fashionai("predict", "--out", "parts.csv", *options) == 0
    monkeypatch.setattr(in_parts, "PART_IMAGES", 1024)
    assert fashionai("predict", "--out", "memory.csv", *options) == 0
    assert same("parts.csv", "memory.csv")


def test_requests_that_share_images_have_their_own_rows(work: Path) -> None:
    """Rows of a part are found by their image, not by their position."""
    shutil.copytree("runs/skirt", "runs/other")
    runs = [Run.open(Path(name)) for name in ("runs/skirt", "runs/other")]
    images = sorted(Path(IMAGES).iterdir())
    (task,) = runs[0].tasks
    requests = [
        Request(task, images[:10], runs[:1]),
        Request(task, images[:4:-1], runs),
        Request(task, [images[12], images[3], images[12]], runs[1:]),
    ]
    options = {"crops": 1, "batch_size": 2, "engine": "gluon"}
    names = [[image.name for image in request.images] for request in requests]
    description = in_parts.describe(requests, names, **options)
    with open_parts(Path("own.parts"), description, ALONE) as own:
        found = in_parts.gather(in_parts.compute_parts(requests, [mx.cpu()], own, **options), own)
    for values, expected in zip(found, predict(requests, [mx.cpu()], **options)):
        assert np.array_equal(values, expected)


def test_each_run_is_calibrated_before_the_average(work: Path) -> None:
    shutil.copytree("runs/skirt", "runs/other")
    runs = [Run.open(Path(name)) for name in ("runs/skirt", "runs/other")]
    (task,), images = runs[0].tasks, sorted(Path(IMAGES).iterdir())
    calibrations = {
        run: Calibration("", [], 1, 32, {task.name: Scaling.of_temperature(temperature, 6)})
        for run, temperature in zip(runs, (2.0, 0.5))
    }
    options = {"crops": 1, "batch_size": 2, "engine": "gluon"}
    (plain,) = predict([Request(task, images, runs[:1])], [mx.cpu()], **options)
    # As a prediction file has them: eight decimals, and half of the last digit for 0.
    rounded = np.maximum(plain.round(8), 5e-9)
    powers = [rounded ** (1 / temperature) for temperature in (2.0, 0.5)]
    expected = np.mean([each / each.sum(axis=1, keepdims=True) for each in powers], axis=0)
    requests = [Request(task, images, runs, calibrations)]
    names = [[image.name for image in images]]
    description = in_parts.describe(requests, names, **options)
    with open_parts(Path("scaled.parts"), description, ALONE) as own:
        (found,) = in_parts.gather(
            in_parts.compute_parts(requests, [mx.cpu()], own, **options), own
        )
    assert found == pytest.approx(expected, abs=1e-9)
    assert np.array_equal(predict(requests, [mx.cpu()], **options)[0], found)


def test_two_commands_do_not_write_one_prediction(
    work: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lock = "import fcntl, sys, time; f = open(sys.argv[1], 'w'); fcntl.flock(f, fcntl.LOCK_EX)\n"
    lock += "print('locked', flush=True); time.sleep(60)"
    holder = subprocess.Popen(
        [sys.executable, "-c", lock, str(FOLDER / ".lock")], stdout=subprocess.PIPE, text=True
    )
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "locked\n"
        assert fashionai("predict", "--out", "p.csv", *OPTIONS, "--resume") == 2
    finally:
        holder.kill()
        holder.communicate()
    assert "another command writes this prediction" in capsys.readouterr().err
