"""Decisions of a review: what is written, undone, and continued by the next session."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from fashionai.datasets.corrections import Correction, write_corrections
from fashionai.errors import ConfigError
from fashionai.reviewing.decisions import Decisions
from fashionai.tasks import Task
from tests.support.commands import files_of_at_most

TASK = Task("birds", (), ("owl", "tit", "wren"), "table")
HEADER = "path,action,old_label,new_label,reason,date\n"


def decisions(folder: Path) -> Decisions:
    return Decisions(folder / "c.csv", TASK, folder / "prepared", lambda: date(2030, 1, 2))


def test_each_decision_is_saved_and_undone_one_by_one(tmp_path: Path) -> None:
    made = decisions(tmp_path)
    made.decide("a.jpg", "owl", "correct", "tit", "suspect label")
    first = f"{HEADER}a.jpg,correct,owl,tit,suspect label,2030-01-02\n"
    assert (tmp_path / "c.csv").read_text() == first
    made.decide("b.jpg", "tit", "drop", "", "")
    made.decide("a.jpg", "owl", "keep", "", "")
    assert (tmp_path / "c.csv").read_text() == (
        f"{HEADER}b.jpg,drop,tit,,,2030-01-02\na.jpg,keep,owl,,,2030-01-02\n"
    )
    assert [made.undo(), made.undo()] == ["a.jpg", "b.jpg"]
    assert (tmp_path / "c.csv").read_text() == first
    assert [made.undo(), made.undo()] == ["a.jpg", None]
    assert (tmp_path / "c.csv").read_text() == HEADER


def test_another_session_continues_and_does_not_undo_the_earlier_one(tmp_path: Path) -> None:
    decisions(tmp_path).decide("a.jpg", "owl", "drop", "", "")
    later = decisions(tmp_path)
    assert later.undo() is None
    later.decide("b.jpg", "tit", "keep", "", "")
    later.decide("c.jpg", "tit", "drop", "owl", "")
    assert list(decisions(tmp_path).rows) == ["a.jpg", "b.jpg", "c.jpg"]


def test_the_old_label_stays_that_of_the_label_files_after_preparing(tmp_path: Path) -> None:
    """The prepared folder has tit, because an earlier correction made it of owl."""
    applied = Correction("a.jpg", "correct", "owl", "tit", "", "2030-01-01")
    write_corrections(tmp_path / "prepared/applied_corrections.csv", [applied])
    made = decisions(tmp_path)
    made.decide("a.jpg", "tit", "keep", "", "")
    assert made.rows["a.jpg"][:4] == ("a.jpg", "correct", "owl", "tit")
    made.decide("a.jpg", "tit", "correct", "owl", "")
    assert made.rows["a.jpg"][:4] == ("a.jpg", "keep", "owl", "")


def test_decisions_are_saved_in_the_target_of_a_link(tmp_path: Path) -> None:
    """As where several people share one file of corrections."""
    (tmp_path / "shared").mkdir()
    (tmp_path / "c.csv").symlink_to("shared/c.csv")
    decisions(tmp_path).decide("a.jpg", "owl", "drop", "", "")
    decisions(tmp_path).decide("b.jpg", "tit", "drop", "", "")
    assert (tmp_path / "c.csv").is_symlink()
    rows = "a.jpg,drop,owl,,,2030-01-02\nb.jpg,drop,tit,,,2030-01-02\n"
    assert (tmp_path / "shared/c.csv").read_text() == f"{HEADER}{rows}"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["c.csv", "shared"]


def test_the_file_that_prepare_writes_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "prepared/applied_corrections.csv"
    with pytest.raises(ConfigError, match=r"prepare writes this file\. Copy it"):
        Decisions(file, TASK, tmp_path / "prepared")


def test_what_cannot_be_decided_changes_nothing(tmp_path: Path) -> None:
    made = decisions(tmp_path)
    with pytest.raises(ConfigError, match=r"new_label: found 'wern'. Did you mean 'wren'\?"):
        made.decide("a.jpg", "owl", "correct", "wern", "")
    with pytest.raises(ConfigError, match="action: found 'remove'"):
        made.decide("a.jpg", "owl", "remove", "", "")
    assert not (tmp_path / "c.csv").exists()
    assert made.undo() is None


def test_a_decision_that_cannot_be_written_is_none_that_undo_takes_back(tmp_path: Path) -> None:
    made = decisions(tmp_path)
    made.decide("a.jpg", "owl", "drop", "", "")
    with files_of_at_most(20), pytest.raises(OSError, match="File too large"):
        made.decide("b.jpg", "tit", "drop", "", "")
    assert list(made.rows) == ["a.jpg"]
    assert [made.undo(), made.undo()] == ["a.jpg", None]


def test_a_decision_whose_undoing_cannot_be_written_can_be_undone_later(tmp_path: Path) -> None:
    made = decisions(tmp_path)
    made.decide("a.jpg", "owl", "drop", "", "")
    before = (tmp_path / "c.csv").read_text()
    with files_of_at_most(20), pytest.raises(OSError, match="File too large"):
        made.undo()
    assert (list(made.rows), (tmp_path / "c.csv").read_text()) == (["a.jpg"], before)
    assert [made.undo(), made.undo()] == ["a.jpg", None]
