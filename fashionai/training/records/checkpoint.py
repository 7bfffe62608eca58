"""The state of a run in one file, so that one rename replaces all of it at once.

``last.states.npz`` holds the learner's state (see Learner.state) and, as JSON, the progress of
the run. It holds no pickle.
"""

from __future__ import annotations

import dataclasses
import io
import json
import logging
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Optional

import numpy as np

from fashionai.errors import RunError, counted, shown
from fashionai.files import atomic_path
from fashionai.files.formats.array_archives import ArrayArchive, DamagedArchiveError
from fashionai.files.formats.json_files import parse_json
from fashionai.runs import Run, RunFolder
from fashionai.training.learners.learner import BATCH_SIZE, SOFT_TARGETS, THREADS, Learner
from fashionai.training.records.history import missing_columns

log = logging.getLogger(__name__)

# The name of the progress in the file. The other names are those of Learner.state.
PROGRESS = "progress"
# Larger counts are damage, and more than a float holds.
LARGEST_COUNT = 2**53


@dataclass
class Progress:
    """How far a run is: the finished epochs, and the steps of the current epoch.

    ``epoch`` and ``step`` count from 0. ``loss_sum``, ``correct`` and ``seen`` are
    sums over the images of the current epoch; ``seconds`` is the time that it took so
    far. ``history`` has one row per finished epoch. ``resume_key`` identifies the data
    and the devices; a run resumes only where they are the same. ``test`` holds the
    scores of the test split, once they are known.
    """

    epoch: int = 0
    step: int = 0
    loss_sum: float = 0.0
    correct: int = 0
    seen: int = 0
    seconds: float = 0.0
    history: list[dict[str, float]] = field(default_factory=list)
    resume_key: dict[str, str] = field(default_factory=dict)
    test: dict[str, float] = field(default_factory=dict)

    def begin_epoch(self, epoch: int) -> None:
        """Set the epoch, and the sums over its images to zero."""
        self.epoch, self.step = epoch, 0
        self.loss_sum, self.correct, self.seen, self.seconds = 0.0, 0, 0, 0.0

    def to_json(self) -> str:
        """All fields as JSON."""
        return json.dumps(dataclasses.asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Progress:
        """The inverse of to_json; ValueError for any other text."""
        fields = parse_json(text)
        _check_progress(fields)
        return cls(**fields)


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _is_count(value: object) -> bool:
    return type(value) is int and 0 <= value <= LARGEST_COUNT


def _are_numbers(value: object) -> bool:
    return isinstance(value, dict) and all(map(_is_number, value.values()))


# What each key of the JSON holds.
_CHECKS: Mapping[str, Callable[[Any], bool]] = {
    **dict.fromkeys(("epoch", "step", "correct", "seen"), _is_count),
    **dict.fromkeys(("loss_sum", "seconds"), _is_number),
    "history": lambda rows: isinstance(rows, list) and all(map(_are_numbers, rows)),
    "test": _are_numbers,
    "resume_key": lambda key: isinstance(key, dict),
}


def _check_progress(fields: Any) -> None:
    """Raise ValueError unless the JSON of a progress has all keys, with values of their types."""
    if not isinstance(fields, dict):
        raise ValueError("the progress has no keys")
    missing = _CHECKS.keys() - fields.keys()
    wrong = [key for key, value in fields.items() if key not in _CHECKS or not _CHECKS[key](value)]
    if missing or wrong:
        keys = ", ".join(map(shown, [*sorted(missing), *wrong][:12]))
        raise ValueError(f"the progress has wrong or missing keys: {keys}")
    lacking = missing_columns(fields["history"])
    if lacking:
        raise ValueError(f"an epoch of its history lacks {', '.join(lacking)}")


def save_state(path: Path, learner: Learner, progress: Progress) -> None:
    """Write the learner's state and the progress. The file replaces the old one atomically.

    All processes give their part of the state; the first one writes.
    """
    arrays = {PROGRESS: np.array(progress.to_json()), **learner.state()}
    if not learner.writes:
        return
    with atomic_path(path) as temporary:
        _write_arrays(temporary, arrays)


def _write_arrays(path: Path, arrays: dict[str, np.ndarray]) -> None:
    """Write an ``.npz`` file as np.savez does, which leaves its file open when the disk is full."""
    with zipfile.ZipFile(path, "w") as archive:
        for name, values in arrays.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                np.lib.format.write_array(member, values, allow_pickle=False)


def load_state(
    path: Path,
    learner: Learner,
    resume_key: dict[str, str],
    content: Optional[bytes] = None,
    first_epoch: int = 0,
) -> Progress:
    """Restore what save_state wrote into ``learner``, and return the progress.

    ``content`` is that of the file ``path``, if it was read already. ``learner`` must not have
    made a step yet. ``first_epoch`` is the first one of its phase (see Config.phases): a state at
    its beginning may be of the phase before. Raises RunError when the file is damaged, belongs to
    another network or version, or was saved with another ``resume_key``.
    """
    refusals: tuple[type[Exception], ...] = (OSError, ValueError)
    try:
        with ArrayArchive(path if content is None else io.BytesIO(content)) as archive:
            progress = Progress.from_json(archive.read_text(PROGRESS))
            _check_same_key(path, progress.resume_key, resume_key)
            plan = learner.batch_plan
            steps = plan.first_step(progress.epoch) + progress.step - plan.first_step(first_epoch)
            if first_epoch and not steps:
                learner.take_over(archive)
                return progress
            left = archive.names() - learner.restore(archive, steps) - {PROGRESS}
            if left:
                raise DamagedArchiveError(f"{min(left)} is of another training")
    except refusals + learner.framework_errors as error:
        raise RunError(
            f"{path}: damaged, or of another network or version of fashionai, cannot resume from "
            f"it ({error})",
            "Start anew with --overwrite or another --run",
        ) from None
    return progress


def check_resumes(run: RunFolder, resumed: Optional[Run]) -> None:
    """Raise RunError unless the folder holds the run that is to be resumed, or none."""
    if resumed is not None and resumed.path.resolve() != run.path.resolve():
        raise RunError(
            f"{run}: is not the run to resume, which is {resumed}",
            "To begin anew with its weights, set model.pretrained to its best.params",
        )
    if resumed is None and (run.has_begun or run.states_file.is_file()):
        raise RunError(
            f"{run}: has been begun by another process meanwhile",
            "Give another --run, or --resume",
        )
    if run.history_file.is_file() and not run.states_file.is_file():
        raise RunError(
            f"{run}: {run.states_file.name} not found, cannot resume",
            "Start anew with --overwrite or another --run",
        )


def read_batch_size(path: Path) -> Optional[int]:
    """The batch size of all processes that PyTorch began a run with; None if it is not saved.

    A damaged file is reported when the whole state is loaded.
    """
    return _read_number(path, BATCH_SIZE)


def read_threads(path: Path) -> Optional[int]:
    """The number of threads that a run was begun with on the CPU; None if it is not saved."""
    return _read_number(path, THREADS)


def read_epoch(content: bytes) -> int:
    """The epoch of a state, from 0; 0 for one that is damaged, which load_state reports."""
    try:
        with ArrayArchive(io.BytesIO(content)) as archive:
            return Progress.from_json(archive.read_text(PROGRESS)).epoch
    except (OSError, ValueError):
        return 0


def _read_number(path: Path, name: str) -> Optional[int]:
    """A positive number of the saved resume key; None without one."""
    try:
        with ArrayArchive(path) as archive:
            saved = Progress.from_json(archive.read_text(PROGRESS)).resume_key
        number = int(saved[name]) if name in saved else 0
    except (OSError, TypeError, ValueError):
        return None
    return number if number > 0 else None


def _check_same_key(path: Path, saved: dict[str, str], current: dict[str, str]) -> None:
    if saved.get("devices") != current["devices"] and not _can_go_on(saved, current):
        raise RunError(
            f"{path.parent}: was begun on {saved.get('devices')}, resumed on {current['devices']}",
            "Give the same --device and --gpus",
        )
    before, now = saved.get(THREADS), current.get(THREADS)
    if before is not None and now is not None and before != now:
        log.info(
            "begun with %s, goes on with %s: the last digits of its results may differ",
            *(counted(int(each), "thread") for each in (before, now)),
        )
    if saved.get(SOFT_TARGETS) != current.get(SOFT_TARGETS):
        raise RunError(
            f"{path.parent}: the file of data.soft_targets has changed",
            "Write it as it was, or start a new run",
        )
    if saved.get("data") != current["data"]:
        raise RunError(
            f"{path.parent}: the prepared folder has changed",
            "Prepare it as it was, or start a new run",
        )


def _can_go_on(saved: dict[str, str], current: dict[str, str]) -> bool:
    """Whether another number of processes can go on, which must keep the size of batches."""
    before, now = str(saved.get("devices")).split(), current["devices"].split()
    if BATCH_SIZE not in saved or saved[BATCH_SIZE] != current.get(BATCH_SIZE):
        return False
    if before[-1] != now[-1]:
        return False
    batch = int(saved[BATCH_SIZE])
    log.info(
        "the run was begun by %s and is resumed by %s: each computes %d of the %s of a batch",
        counted(int(before[0]), "process"),
        now[0],
        batch // int(now[0]),
        counted(batch, "image"),
    )
    return True
