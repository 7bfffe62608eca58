"""The commands that are suggested at the end of others."""

from __future__ import annotations

from pathlib import Path

from fashionai.cli.terminal.next_steps import after_pseudo_label
from fashionai.families import find_task
from fashionai.tasks import Task


def test_what_follows_pseudo_labels_can_be_pasted_or_is_told_in_words() -> None:
    file = Path("my pseudo.csv")
    known = after_pseudo_label(find_task("skirt"), file)
    assert known == "Next: fashionai prepare --task skirt --pseudo-labels 'my pseudo.csv'"
    own = after_pseudo_label(Task("animals", (), ("cat", "dog"), "table"), file)
    assert own == ("Next: add --pseudo-labels 'my pseudo.csv' to the command that prepared animals")
