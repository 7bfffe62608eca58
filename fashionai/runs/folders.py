"""The folders of runs and cross-validations: the paths of their files; making and removing them."""

from __future__ import annotations

import contextlib
import itertools
import logging
import os
import re
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from fashionai.errors import RunError, shown_value
from fashionai.files.abandoned import is_temporary
from fashionai.files.default_folders import RUNS_FOLDER
from fashionai.files.formats.json_files import read_json
from fashionai.files.formats.yaml_files import load_yaml
from fashionai.files.locks import LOCK_FILE, is_locked, locked
from fashionai.files.outputs import (
    MARKS_OF_PREPARED_TASKS,
    MARKS_OF_RUNS,
    check_is_no_file,
    has_marks,
)
from fashionai.files.paths import PathLike

log = logging.getLogger(__name__)

# The settings of a cross-validation. The folder with this file also has one run per fold.
CROSS_VALIDATION_FILE = "cross_validation.yaml"
# A larger number of folds is an error: it may come from a damaged file.
MOST_FOLDS = 1000
# The settings of a search for hyper-parameters. The folder also has the runs of its trials.
STUDY_FILE = "tune.yaml"
FOLDS_FILE = "folds.csv"
BASE_CONFIG_FILE = "config.base.yaml"
SCORES_FILE = "scores.json"
OUT_OF_FOLD_FILE = "out_of_fold.csv"

SPACE_FILE = "space.yaml"
# What is written for other programs, see fashionai.tracking.
TENSORBOARD_FOLDER, MLFLOW_FILE = "tensorboard", "mlflow.json"

# An empty file that lies in a folder while the files below are written.
BEGINNING_FILE = ".beginning"
# Files that are written before config.yaml, cross_validation.yaml or tune.yaml, which mark a run, a
# cross-validation or a search as begun. Without BEGINNING_FILE beside them they are the user's.
WRITTEN_BEFORE_BEGINNING = (
    *("classes.json", BASE_CONFIG_FILE, FOLDS_FILE, SPACE_FILE),
    *(TENSORBOARD_FOLDER, MLFLOW_FILE),
)
# The name of a run's folder while it is deleted.
REMOVED = re.compile(r"\..+\.[0-9a-f]{16}\.removed", re.DOTALL)


class RunFolder:
    """The paths of the files of one run. No file is read, so the files need not exist yet.

    Args:
        path: Folder of the run, which need not exist yet.

    Example:
        >>> history = pd.read_csv(fashionai.RunFolder("runs/skirt").history_file)
    """

    def __init__(self, path: PathLike) -> None:
        self.path = path = Path(path)
        self.config_file = path / "config.yaml"
        self.classes_file = path / "classes.json"
        self.best_parameters = path / "best.params"
        self.best_averaged_parameters = path / "best_ema.params"
        self.last_parameters = path / "last.params"
        self.states_file = path / "last.states.npz"
        self.history_file = path / "history.csv"
        self.metrics_file = path / "metrics.json"
        self.log_file = path / "train.log"
        self.int8_symbol = path / "int8-symbol.json"
        self.int8_parameters = path / "int8-0000.params"
        self.int8_report = path / "int8.json"
        self.calibration_file = path / "calibration.json"

    def __str__(self) -> str:
        return str(self.path)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, RunFolder) and self.path == other.path

    def __hash__(self) -> int:
        return hash(self.path)

    @property
    def has_begun(self) -> bool:
        """Whether a training has written its configuration here."""
        return self.config_file.is_file()


def read_metrics(folder: RunFolder) -> dict[str, Any]:
    """The content of metrics.json, see Run.metrics."""
    file = folder.metrics_file
    try:
        metrics = read_json(file)
    except FileNotFoundError:
        return {}
    except ValueError as error:
        raise RunError(f"{file}: not valid JSON: {error}") from None
    if not _is_metrics(metrics):
        raise RunError(f"{file}: does not hold a run's metrics")
    return dict(metrics)


def _is_metrics(value: Any) -> bool:
    """Whether a JSON value has the types of metrics.json; keys may be missing but for tasks."""
    if not isinstance(value, dict) or not isinstance(value.get("tasks"), dict):
        return False
    scores = [value.get("best", {}), *value["tasks"].values()]
    if not all(isinstance(each, dict) for each in scores):
        return False
    counts = [value.get(key, 0) for key in ("epochs", "averaged_runs")]
    numbers = [*counts, *(number for each in scores for number in each.values())]
    weights = value.get("weights", "")
    return (
        all(number is None or type(number) in (int, float) for number in numbers)
        and isinstance(value.get("finished", False), bool)
        and isinstance(weights, str)
        and Path(weights).name == weights
    )


def find_folds(path: Path) -> list[RunFolder]:
    """The run folders of a cross-validation, begun or not; an empty list for other folders."""
    file = path / CROSS_VALIDATION_FILE
    if not file.is_file():
        return []
    folds = load_yaml(file).get("folds")
    if not isinstance(folds, int) or not 2 <= folds <= MOST_FOLDS:
        raise RunError(
            f"{file}: folds is {shown_value(folds)}, expected a number from 2 to {MOST_FOLDS}"
        )
    return [RunFolder(path / f"fold-{number}") for number in range(1, folds + 1)]


def find_folders_of(pattern: str, folder: Path) -> list[Path]:
    """The folders of the files that match a pattern below a folder, by name.

    Those that are being deleted, or whose deletion was interrupted, are left out.
    """
    found = sorted(file.relative_to(folder) for file in folder.glob(pattern))
    return [folder / file.parent for file in found if not REMOVED.fullmatch(file.parts[0])]


@contextlib.contextmanager
def locked_run(run: RunFolder) -> Iterator[None]:
    """Hold the lock of a run while its files change; RunError when another process holds it."""
    with locked(run.path / LOCK_FILE, _busy(run.path)):
        yield


@contextlib.contextmanager
def beginning(path: Path) -> Iterator[None]:
    """Mark a folder while WRITTEN_BEFORE_BEGINNING and the file that marks it as begun are written.

    The mark stays after a kill or an error: it tells these files from the user's. The caller
    holds the lock of the folder.
    """
    (path / BEGINNING_FILE).touch()
    yield
    remove_mark_of_beginning(path)


def remove_mark_of_beginning(path: Path) -> None:
    """Remove the mark from a folder that has begun, where a kill has left it."""
    (path / BEGINNING_FILE).unlink(missing_ok=True)


def remove_free_lock(run: RunFolder) -> None:
    """Remove the lock file that a killed process has left in a finished run, if possible."""
    if (run.path / LOCK_FILE).exists():
        with contextlib.suppress(RunError, OSError), locked_run(run):
            pass


def _busy(path: Path) -> RunError:
    return RunError(f"{path}: is being trained by another process")


def create_run(wanted: PathLike, exactly: bool = False) -> RunFolder:
    """Make a new run folder, or use one in which a process was killed before its run began.

    Args:
        wanted: Path of the folder. If it is taken, ``wanted-2`` is made instead, or
            ``wanted-3`` and so on.
        exactly: Raise RunError when it is taken.

    Returns:
        The folder.

    Raises:
        DataError: The path is that of a file.
        RunError: It is the folder of a prepared task; or with ``exactly``, another process trains
            in the folder, or it holds other files.
        OSError: The folder cannot be made.

    Example:
        >>> folder = fashionai.create_run("runs/skirt")
    """
    wanted = Path(wanted)
    check_is_no_file(wanted)
    _check_is_not_prepared(wanted)
    wanted.parent.mkdir(parents=True, exist_ok=True)
    _finish_removals(wanted.parent)
    for number in itertools.count(1):
        candidate = wanted if number == 1 else wanted.with_name(f"{wanted.name}-{number}")
        try:
            candidate.mkdir()
        except FileExistsError:
            if not _is_free(candidate):
                if exactly:
                    raise _taken(candidate, "--run") from None
                continue
        return RunFolder(candidate)
    raise AssertionError("there is always a next number")


def _check_is_not_prepared(path: Path) -> None:
    """Raise RunError for the folder of a prepared task, beside which no run is made."""
    if has_marks(path, MARKS_OF_PREPARED_TASKS):
        raise RunError(
            f"{path}: is the folder of a prepared task, expected that of a run",
            f"Name another --run, such as {RUNS_FOLDER / path.name}",
        )


def check_not_busy(run: RunFolder) -> None:
    """Raise RunError while another process holds the lock of a run."""
    if is_locked(run.path / LOCK_FILE):
        raise _busy(run.path)


def check_free(path: Path, option: str) -> None:
    """Raise RunError for a folder, named by an option, in which create_run would begin no run."""
    if path.exists() and not _is_free(path):
        raise _taken(path, option)


def _taken(path: Path, option: str) -> RunError:
    if is_locked(path / LOCK_FILE):
        return _busy(path)
    return RunError(f"{path}: holds other files than those of a run", f"Name another {option}")


def remove_run(path: Path) -> None:
    """Delete the folder of a run, a cross-validation or a search, also if it has not begun yet.

    Raises RunError when the folder holds something else, and when another process trains
    the run or one in it, at any depth, or has a trial of the search.
    """
    check_removable(path)
    if not path.exists():
        return
    with contextlib.ExitStack() as stack:
        for folder in sorted({path, *(file.parent for file in path.rglob("config.yaml"))}):
            stack.enter_context(locked_run(RunFolder(folder)))
        for lock in path.glob(f".*{LOCK_FILE}"):  # of trials, also before their runs begin
            stack.enter_context(locked(lock, _busy(path)))
        # Renamed first: if this process is killed, no incomplete run is left under the name.
        removed = path.with_name(f".{path.name}.{secrets.token_hex(8)}.removed")
        path.rename(removed)
    # Another process may delete it at the same time, see _finish_removals.
    shutil.rmtree(removed, ignore_errors=True)
    if removed.exists():
        log.warning("%s: could not be deleted completely; you may delete it", removed)


def check_removable(path: Path) -> None:
    """RunError for a folder of something else than a run, a cross-validation or a search."""
    if path.is_symlink():
        target = os.path.realpath(path)
        raise RunError(f"{path}: is a link, so it is not overwritten", f"Name {target}")
    if not path.exists() or has_marks(path, MARKS_OF_RUNS):
        return
    if not path.is_dir() or not has_not_begun(path):
        raise RunError(
            f"{path}: not a run (expected config.yaml and classes.json), so it is not overwritten"
        )


def remove_weights(run: RunFolder) -> None:
    """Remove the weights and the state of a run; its configuration and its history stay."""
    for file in (
        *(run.best_parameters, run.best_averaged_parameters),
        *(run.last_parameters, run.states_file),
    ):
        file.unlink(missing_ok=True)


def holds_run(path: Path) -> bool:
    """Whether a run, a cross-validation or a search has begun in a folder."""
    marks = ("config.yaml", CROSS_VALIDATION_FILE, STUDY_FILE)
    return any((path / name).is_file() for name in marks)


def has_not_begun(path: Path) -> bool:
    """Whether a folder is empty, or holds only files that were written before a run begins."""
    names = {entry.name for entry in path.iterdir() if not is_temporary(entry.name)}
    names -= {LOCK_FILE, BEGINNING_FILE}
    # The mark last: another process may begin meanwhile, and makes it first.
    return not names or (
        names.issubset(WRITTEN_BEFORE_BEGINNING) and (path / BEGINNING_FILE).is_file()
    )


def _is_free(path: Path) -> bool:
    """Whether a folder can be used for a new run: none has begun in it, and it is not locked."""
    return path.is_dir() and has_not_begun(path) and not is_locked(path / LOCK_FILE)


def _finish_removals(folder: Path) -> None:
    """Delete the folders of runs whose removal was interrupted."""
    for path in folder.glob(".*"):
        if REMOVED.fullmatch(path.name):
            shutil.rmtree(path, ignore_errors=True)
