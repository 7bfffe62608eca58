"""The number of threads: given, recorded in the state of a run, or measured before MXNet starts."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from fashionai.training.records.checkpoint import read_threads
from tests.support.commands import fashionai
from tests.support.data_trees import write_class_folders

CONFIG = """\
task: birds
model: {name: small_cnn, pretrained: false}
data: {folder: data/train_valid, resize_short: 36, crop: 32}
epochs: 1
batch_size: 4
optimizer: {name: sgd, lr: 0.01}
"""
# Two cores, and no training is too short to measure.
CHOOSE = """\
import logging, os
from pathlib import Path
from fashionai.config import load_config
from fashionai.runs import RunFolder
from fashionai.training.speed import threads
logging.basicConfig(level="INFO", format="%(message)s")
threads.usable_cores = lambda: 2
threads.LONG_SECONDS = LONG
threads.choose_threads(load_config("c.yaml"), BEGUN, "cpu", ())
print("threads:", os.environ.get("OMP_NUM_THREADS"))
"""
# Two cores, of which one is faster.
CROSS_VALIDATE = """\
import os
from pathlib import Path
from fashionai.cross_validation import open_cross_validation
from fashionai.progress import no_bar
from fashionai.training.speed import threads
threads.usable_cores = lambda: 2
threads.LONG_SECONDS = LONG
threads._measured = lambda config: 1
place = Path("folds")
config, resume = (None, True) if place.exists() else (Path("c.yaml"), False)
open_cross_validation(config, (), {"folds": 2}, place, "cpu", (), no_bar, resume=resume)
print("threads:", os.environ.get("OMP_NUM_THREADS"))
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    write_class_folders(Path("own"), {"train": 8, "val": 2}, ("owl", "tit"))
    Path("c.yaml").write_text(CONFIG)
    assert fashionai("prepare", "--task", "birds", "--folders", "own") == 0
    return tmp_path


def choose(begun: str = "[]", long: str = "0", given: str = "") -> str:
    """What choose_threads logs and sets in a process of its own."""
    return run_program(CHOOSE.replace("BEGUN", begun), long, given)


def run_program(program: str, long: str, given: str = "") -> str:
    """The output of a program for which LONG seconds are long; ``given`` threads or none."""
    inherited = {name: value for name, value in os.environ.items() if name != "OMP_NUM_THREADS"}
    root = str(Path(__file__).parents[3])
    done = subprocess.run(
        [sys.executable, "-c", program.replace("LONG\n", f"{long}\n")],
        env={**inherited, "PYTHONPATH": root, **({"OMP_NUM_THREADS": given} if given else {})},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=True,
    )
    return done.stdout


def test_the_fastest_number_is_measured_and_chosen(folder: Path) -> None:
    output = choose()
    found = re.search(
        r"images/s with 2 threads ([0-9.]+), 1 thread ([0-9.]+): .* with (\d)", output
    )
    if found is None:  # the machine is too busy
        assert "not measured within" in output
        assert output.endswith("threads: None\n")
        return
    two, one = float(found[1]), float(found[2])
    assert found[3] == ("1" if one > 1.2 * two else "2")
    assert output.endswith(f"threads: {found[3]}\n")


def test_short_trainings_and_given_numbers_are_left_alone(folder: Path) -> None:
    assert choose(long="300") == "threads: None\n"
    assert choose(given="7") == "threads: 7\n"


def test_a_run_goes_on_with_its_number(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    begin = ("train", "--config", "c.yaml", "--run", "r", "epochs=2")
    assert fashionai(*begin) == 0
    recorded = read_threads(Path("r/last.states.npz"))
    given = os.environ.get("OMP_NUM_THREADS", "")
    assert given == str(recorded)
    assert choose('[RunFolder(Path("r"))]') == f"threads: {recorded}\n"
    assert read_threads(Path("c.yaml")) is None


def test_the_folds_of_a_cross_validation_keep_one_number(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run_program(CROSS_VALIDATE, "0") == "threads: 1\n"
    assert fashionai("cross-validate", "--run", "folds", "--resume") == 0
    recorded = read_threads(Path("folds/fold-1/last.states.npz"))
    assert run_program(CROSS_VALIDATE, "300") == f"threads: {recorded}\n"
