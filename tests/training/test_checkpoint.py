"""The progress in a state file, as runs have always stored it."""

from __future__ import annotations

import io
import json
import pickle
import zipfile
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from fashionai.errors import RunError
from fashionai.training import checkpoint
from fashionai.training.checkpoint import Progress, load_state
from tests.support.torch_files import Calling

STORED = """\
{"epoch": 1, "step": 5, "loss_sum": 40.5, "correct": 21, "seen": 40, "seconds": 0.25,
"history": [{"epoch": 1, "val_map": 0.75}], "basis": {"devices": "1 cpu", "data": "0f"},
"test": {}}
"""


def test_progress_is_read_and_written_under_the_keys_of_existing_runs() -> None:
    progress = Progress.from_json(STORED)
    assert progress.resume_key == {"devices": "1 cpu", "data": "0f"}
    assert (progress.epoch, progress.step, progress.history[0]["val_map"]) == (1, 5, 0.75)
    assert json.loads(progress.to_json()) == json.loads(STORED)


@pytest.mark.parametrize("text", ["", "[1]", "3", '"text"', '{"epochs": 1}'])
def test_other_text_is_refused(text: str) -> None:
    with pytest.raises((ValueError, TypeError)):
        Progress.from_json(text)


def test_a_state_file_that_would_run_code(tmp_path: Path) -> None:
    """Arrays of objects are pickles: NumPy is told never to load them."""
    mark, state = tmp_path / "mark", tmp_path / "last.states.npz"
    member = io.BytesIO()
    header = {"descr": "|O", "fortran_order": False, "shape": ()}
    np.lib.format.write_array_header_1_0(member, header)
    member.write(pickle.dumps(Calling(Path.touch, mark)))
    with zipfile.ZipFile(state, "w") as archive:
        archive.writestr(f"{checkpoint.PROGRESS}.npy", member.getvalue())
    learner: Any = SimpleNamespace(framework_errors=())
    with pytest.raises(RunError, match="damaged or of another network"):
        load_state(state, learner, {})
    assert not mark.exists()
    # The attack works where pickles are loaded.
    np.load(state, allow_pickle=True)[checkpoint.PROGRESS]
    assert mark.exists()
