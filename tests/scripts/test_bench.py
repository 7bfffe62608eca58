"""The benchmarks: their arithmetic, what they measure on, and that both sides take turns."""

from __future__ import annotations

import hashlib
import importlib
import json
import sys
from pathlib import Path
from types import ModuleType

import cv2
import numpy as np
import pytest

from tests.conftest import ROOT

BENCH = ROOT / "scripts/bench"

WORKER = """
from worker import FACTS, serve

def set_up(settings):
    FACTS["threads"] = 2
    print("this is no answer")
    values = iter(settings["values"])
    return lambda: next(values)

serve(set_up, "numpy", "no-such-package")
"""


@pytest.fixture(autouse=True)
def bench_path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(BENCH))
    monkeypatch.syspath_prepend(str(BENCH / "ours"))


def module(name: str) -> ModuleType:
    return importlib.import_module(name)


def test_ratios_are_those_of_neighbours() -> None:
    # Ratios 2, 1, 4, 0.5 and 3; the medians of the sides alone would give 6 / 4.
    pairs = [(2.0, 4.0), (4.0, 4.0), (5.0, 20.0), (12.0, 6.0), (3.0, 9.0)]
    assert module("harness").summarize(pairs) == (4.0, 6.0, 2.0, 0.5, 4.0)


@pytest.mark.parametrize(
    ("bound", "at_most", "text", "met", "missed"),
    [(1.6, False, ">= 1.6", 1.6, 1.59), (1.2, True, "<= 1.2", 1.2, 1.21)],
)
def test_a_target_is_met_on_its_side_of_the_bound(
    bound: float, at_most: bool, text: str, met: float, missed: float
) -> None:
    target = module("harness").Target(bound, at_most)
    assert str(target) == text
    assert target.is_met(met)
    assert not target.is_met(missed)


def test_sides_take_turns_and_the_table_has_what_they_answered(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    harness = module("harness")
    monkeypatch.setattr(harness, "SETTLING", 0)
    script = tmp_path / "side.py"
    script.write_text(WORKER)
    sides = (
        harness.Side(name, str(script), {"values": values})
        for name, values in (("theirs", [200.0, 300.0, 100.0]), ("ours", [300.0, 300.0, 250.0]))
    )
    comparison = harness.Comparison("loader", "images/s", harness.Target(2), *sides)
    options = harness.Options(3, 1, False, tmp_path, tmp_path / "out", Path(sys.executable))
    monkeypatch.setattr("sys.argv", ["loader.py"])
    harness.run([comparison], options)

    result = json.loads((tmp_path / "out/loader.json").read_text())
    (row,) = result["rows"]
    assert row["pairs"] == [[200, 300], [300, 300], [100, 250]]
    versions = {"python": sys.version.split()[0], "numpy": np.__version__}
    facts = {"versions": versions, "threads": 2}
    assert row["sides"][1] == {"name": "ours", "script": str(script), **facts}
    line = "| loader | theirs | 200 images/s | 300 images/s | 1.5 | 1 to 2.5 | >= 2 | no |"
    assert line in capsys.readouterr().out.splitlines()
    table = module("table").results_table(tmp_path / "out").splitlines()
    assert table[-1] == line
    assert len({text.count("|") for text in table[-3:]}) == 1
    assert result["date"] in table
    assert f"theirs: python {versions['python']}, numpy {np.__version__}" in table


def test_an_image_depends_on_its_number_and_size_alone(tmp_path: Path) -> None:
    images = module("images")
    sources = [
        np.random.default_rng(seed).integers(0, 256, (60, 90, 3), np.uint8) for seed in (0, 1)
    ]
    drawn = [images.draw_image(sources, number, (24, 40)) for number in (0, 1, 2, 0)]
    assert np.array_equal(drawn[0], drawn[3])
    assert len({image.tobytes() for image in drawn}) == 3
    assert all(24 <= side <= 40 for image in drawn for side in image.shape[:2])
    assert {image.dtype for image in drawn} == {np.dtype(np.uint8)}
    assert images.draw_image(sources, 0, (32, 32)).shape == (32, 32, 3)

    once, again = (images.make_images(tmp_path / name, 3, (24, 40)) for name in ("a", "b"))
    assert [file.read_bytes() for file in once] == [file.read_bytes() for file in again]
    times = [file.stat().st_mtime_ns for file in once]
    assert images.make_images(tmp_path / "a", 3, (24, 40)) == once
    assert [file.stat().st_mtime_ns for file in once] == times


def test_files_of_one_image_have_its_pixels_and_bytes_of_their_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepare, images = module("prepare"), module("images")
    small = images.make_images(tmp_path, 2, (24, 40))
    monkeypatch.setattr(prepare, "make_images", lambda cache, count: small[:count])
    tree = prepare.distinct_images(tmp_path, 20)
    files = {file.name: file for file in tree.glob("*/*.jpg")}
    assert sorted(files) == [f"{number:08d}.jpg" for number in range(20)]
    assert len({hashlib.sha256(file.read_bytes()).digest() for file in files.values()}) == 20
    for number, name in enumerate(sorted(files)):
        expected = cv2.imread(str(small[number // 10]))
        assert np.array_equal(cv2.imread(str(files[name])), expected)


def test_class_folders_hold_every_image_once_for_training(tmp_path: Path) -> None:
    images = module("images")
    tree = images.class_folders(tmp_path, 5, 2)
    places = [file.relative_to(tree).as_posix() for file in tree.glob("*/*/*.jpg")]
    train = [f"train/class-{n % 2:04d}/train-{n:06d}.jpg" for n in range(5)]
    val = [f"val/class-{n % 2:04d}/val-{n:06d}.jpg" for n in range(4)]
    assert sorted(places) == sorted(train + val)


@pytest.mark.parametrize("by_a_child", [False, True])
def test_peak_memory_is_that_of_all_processes(by_a_child: bool) -> None:
    processes = module("processes")
    size = 200_000_000
    holding = "x = bytearray(b'1') * {}; import time; time.sleep(0.2)"
    parent = "import subprocess, sys; subprocess.run([sys.executable, '-c', sys.argv[1]])"

    def peak(held: int) -> float:
        code = holding.format(held)
        words = [parent, code] if by_a_child else [code]
        return processes.peak_memory([sys.executable, "-c", *words])

    assert peak(size) - peak(1) == pytest.approx(size / 1e6, rel=0.05)


@pytest.mark.parametrize("command", ["prepare", "predict", "evaluate"])
def test_bookkeeping_is_measured_without_images(
    command: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["bookkeeping.py", command, "60"])
    module("bookkeeping").main()
    result = json.loads(capsys.readouterr().out)
    assert result["seconds"] > 0
    assert result["peak_mb"] > 1
