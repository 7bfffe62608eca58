"""The commands of docs/your-own-images.md and docs/labels-and-images.md run."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from tests.docs.pages import PAGES, QUICK, all_commands, run_page
from tests.support.commands import ROOT
from tests.support.data_trees import put, write_class_folders

DRAWINGS = Path("/usr/share/openclipart/png")


def test_the_quick_start_runs(workplace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On small stand-ins."""
    pictures = write_class_folders(Path("pictures"), {"": 12}).rglob("*.jpg")
    rows = (f"{picture},{picture.parent.name}" for picture in sorted(pictures))
    put(Path("labels.csv"), "\n".join(["file,animal", *rows]))
    write_class_folders(Path("new-pictures"), {"": 1})
    run_page(PAGES["your-own-images.md"], monkeypatch, QUICK)


@pytest.mark.clipart
def test_the_quick_start_learns_real_drawings(tmp_path: Path) -> None:
    """As a user runs it, with nothing made smaller."""
    page, work = tmp_path / "session.md", tmp_path / "work"
    script = [sys.executable, ROOT / "scripts/record_session.py", "--pictures", DRAWINGS]
    subprocess.run([*script, "--out", page, "--work", work], check=True)
    commands = all_commands(PAGES["your-own-images.md"])
    recorded = [line[2:] for line in page.read_text().splitlines() if line.startswith("$ ")]
    assert recorded == commands
    history = pd.read_csv(work / "runs/animals/history.csv")
    # By chance a quarter of the classes are right, and the mAP is hardly larger. 17 images make a
    # score differ by 0.1 between processors.
    assert history["val_balanced_accuracy"].iloc[-1] > 0.35
    assert history["val_map"].iloc[-1] > 0.6
    predictions = pd.read_csv(work / "animals.csv")
    assert len(predictions) == len(list((work / "new-pictures").iterdir()))


def test_label_files_are_read(own_images: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run_page(PAGES["labels-and-images.md"], monkeypatch, QUICK)
