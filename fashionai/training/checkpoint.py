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
from dataclasses import dataclass, field
from pathlib import Path
from typing import Optional

import numpy as np

from fashionai.errors import RunError
from fashionai.files import atomic_path
from fashionai.files.json_files import parse_json
from fashionai.training.learner import BATCH_SIZE, Learner

log = logging.getLogger(__name__)

# The name of the progress in the file. The other names are those of Learner.state.
PROGRESS = "progress"
# The key of Progress.resume_key in the JSON.
STORED_RESUME_KEY = "basis"

# Errors that reading a state file raises when it is damaged or belongs to another network.
UNREADABLE: tuple[type[Exception], ...] = (
    OSError,
    ValueError,
    KeyError,
    TypeError,
    zipfile.BadZipFile,
)


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
        fields = dataclasses.asdict(self)
        fields[STORED_RESUME_KEY] = fields.pop("resume_key")
        return json.dumps(fields)

    @classmethod
    def from_json(cls, text: str) -> Progress:
        """The inverse of to_json; ValueError or TypeError for any other text."""
        fields = {**parse_json(text)}
        return cls(resume_key=fields.pop(STORED_RESUME_KEY, {}), **fields)


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
    path: Path, learner: Learner, resume_key: dict[str, str], content: bytes
) -> Progress:
    """Restore what save_state wrote into ``learner``, and return the progress.

    ``content`` is that of the file ``path``. ``learner`` must not have made a step yet. Raises
    RunError when the file is damaged, belongs to another network, or was saved with another
    ``resume_key``.
    """
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
            progress = Progress.from_json(str(arrays[PROGRESS]))
            _check_same_key(path, progress.resume_key, resume_key)
            steps = learner.batch_plan.first_step(progress.epoch) + progress.step
            learner.restore(arrays, steps)
    except UNREADABLE + learner.framework_errors as error:
        raise RunError(
            f"{path}: damaged or of another network, cannot resume from it ({error})",
            "Start anew with --overwrite or another --run",
        ) from None
    return progress


def read_batch_size(path: Path) -> Optional[int]:
    """The batch size of all processes that PyTorch began a run with; None if it is not saved.

    A damaged file is reported when the whole state is loaded.
    """
    try:
        with np.load(path, allow_pickle=False) as arrays:
            saved = Progress.from_json(str(arrays[PROGRESS])).resume_key
        return int(saved[BATCH_SIZE]) if BATCH_SIZE in saved else None
    except UNREADABLE:
        return None


def _check_same_key(path: Path, saved: dict[str, str], current: dict[str, str]) -> None:
    if saved.get("devices") != current["devices"] and not _can_go_on(saved, current):
        raise RunError(
            f"{path.parent}: was begun on {saved.get('devices')}, resumed on {current['devices']}",
            "Give the same --device and --gpus",
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
        "begun by %s processes, goes on with %s: each computes %d of the %d images of a batch",
        *(before[0], now[0], batch // int(now[0]), batch),
    )
    return True
