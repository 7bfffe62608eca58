"""fashionai config tells what this machine cannot compute."""

from __future__ import annotations

import pytest
import yaml

from fashionai.training.learners import engine_choice
from tests.support.commands import fashionai


@pytest.fixture(autouse=True)
def machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine without a GPU, and without PyTorch."""
    monkeypatch.setattr(engine_choice, "compute_capabilities", lambda: [])
    monkeypatch.setattr(engine_choice, "has_torch", lambda: False)


@pytest.mark.parametrize(
    ("setting", "notes"),
    [
        ("engine=gluon", []),
        ("engine=torch", ["engine=torch needs PyTorch, which is not installed. Run "]),
        ("compile=true", ["compile=true needs PyTorch, which is not installed. Run "]),
        ("precision=float16", ["precision=float16 needs a GPU, and this machine has none"]),
        ("precision=tf32", ["precision=tf32 needs PyTorch", "precision=tf32 needs a GPU"]),
    ],
)
def test_what_this_machine_cannot_compute_is_noted(
    setting: str, notes: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert fashionai("config", "skirt", setting) == 0
    output = capsys.readouterr()
    assert yaml.safe_load(output.out)["task"] == "skirt"
    lines = output.err.splitlines()
    assert len(lines) == len(notes)
    for line, note in zip(lines, notes):
        assert line.startswith(f"note: train would refuse this here: {note}")
