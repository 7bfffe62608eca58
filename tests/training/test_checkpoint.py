"""The progress in a state file, as runs have always stored it."""

from __future__ import annotations

import json

import pytest

from fashionai.training.checkpoint import Progress

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
