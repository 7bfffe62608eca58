"""A command opens every run once: each of a run's files is read at most one time."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Optional

import pytest

from tests.support.commands import fashionai

READ_ONCE = ("config.yaml", "classes.json", "metrics.json")


class Reads:
    """Counts how often files of these names are opened while it is on."""

    def __init__(self) -> None:
        self.counts: Optional[Counter[str]] = None
        # A hook cannot be removed again: it is installed once, and counts when it is told to.
        sys.addaudithook(self._note)

    def _note(self, event: str, arguments: tuple[Any, ...]) -> None:
        # In Python 3.9, Path.open causes a second event, of os.open, which has no mode.
        if self.counts is None or event != "open" or arguments[1] is None:
            return
        if isinstance(arguments[0], (str, Path)):
            path = Path(arguments[0])
            if path.name in READ_ONCE:
                self.counts[f"{path.parent.name}/{path.name}"] += 1

    @contextmanager
    def counted(self) -> Iterator[Counter[str]]:
        self.counts = Counter()
        try:
            yield self.counts
        finally:
            self.counts = None


READS = Reads()


def once(*runs: str) -> dict[str, int]:
    return {f"{run}/{name}": 1 for run in runs for name in READ_ONCE}


@pytest.mark.parametrize(
    "arguments",
    [
        ["predict", "--run", "runs/skirt", "--out", "{out}/q.csv", "--engine", "auto"],
        ["predict", "--out", "{out}/best.csv"],
        ["predict", "--run", "runs/skirt", "--split", "val", "--out", "{out}/val.csv"],
        ["evaluate", "--run", "runs/skirt", "--split", "val"],
        ["report", "runs/skirt", "--crops", "1", "--out", "{out}/report.html"],
        ["classify", "--run", "runs/skirt", "data/rank/Images"],
        ["export", "--run", "{cnn}", "--format", "gluon", "--out", "{out}/exported"],
        ["quantize", "--run", "{cnn}", "--calibration-images", "8", "--max-loss", "1"],
    ],
    ids=" ".join,
)
def test_a_command_reads_each_file_of_a_run_once(
    arguments: list[str],
    trained: Path,
    trained_cnn: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(trained)
    places = {"out": tmp_path, "cnn": trained_cnn}
    with READS.counted() as counts:
        assert fashionai(*(word.format(**places) for word in arguments)) == 0
    assert counts == once("skirt")


def test_the_list_of_runs_reads_no_file_twice(
    trained: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(trained)
    with READS.counted() as counts:
        assert fashionai("runs") == 0
    assert counts.keys() <= once("skirt").keys()
    assert set(counts.values()) == {1}


def test_a_finished_cross_validation_reads_each_file_of_its_runs_once(
    trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(trained)
    small = ["model.name=small_cnn", "model.pretrained=false", "epochs=1", "batch_size=16"]
    sizes = ["data.resize_short=36", "data.crop=32"]
    run = ["--crops", "1", "--folds", "2", "--run", tmp_path / "folds"]
    assert fashionai("cross-validate", "--config", "skirt", *run, *small, *sizes) == 0
    with READS.counted() as counts:
        assert fashionai("cross-validate", "--resume", *run) == 0
    assert counts == once("fold-1", "fold-2")
