"""The commands that are suggested at the end of others."""

from __future__ import annotations

from pathlib import Path

from fashionai.cli.terminal.next_steps import after_pseudo_label, after_review
from fashionai.families import find_task
from fashionai.tasks import Task


def test_what_follows_pseudo_labels_can_be_pasted_or_is_told_in_words() -> None:
    file = Path("my pseudo.csv")
    skirt, animals = find_task("skirt"), Task("animals", (), ("cat", "dog"), "table")
    usual, other = Path("data/train_valid"), Path("demo/train_valid")
    known = after_pseudo_label(skirt, usual, file)
    assert known == "Next: fashionai prepare --task skirt --pseudo-labels 'my pseudo.csv'"
    added = "Next: add --pseudo-labels 'my pseudo.csv' to the command that prepared"
    assert after_pseudo_label(animals, usual, file) == f"{added} data/train_valid/animals"
    elsewhere = after_pseudo_label(skirt, other, file)
    assert elsewhere == f"{added} demo/train_valid/skirt_length_labels"


def test_what_follows_a_review_applies_its_decisions() -> None:
    usual, skirt = Path("data/train_valid"), find_task("skirt")
    known = after_review(skirt, usual, Path("my corrections.csv"))
    assert known == "Next: fashionai prepare --task skirt --corrections 'my corrections.csv'"
