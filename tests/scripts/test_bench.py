"""What the benchmark scripts compute apart from time: ratios, images, memory."""

from __future__ import annotations

import ast
import graphlib
import importlib
import itertools
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import cv2
import numpy as np
import pytest

from tests.support.commands import ROOT

BENCH = ROOT / "scripts/bench"
# The scripts and their package measuring, by the names under which they are imported.
NAMES = [*(file.stem for file in BENCH.glob("*.py")), "measuring"]


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Imports a module as the scripts do."""
    monkeypatch.syspath_prepend(str(BENCH))

    def load(name: str) -> ModuleType:
        return importlib.import_module(name)

    yield load
    for name in list(sys.modules):
        if name.partition(".")[0] in NAMES:
            del sys.modules[name]


def imported_by(file: Path) -> set[str]:
    nodes = ast.walk(ast.parse(file.read_text()))
    return {node.module or "" for node in nodes if isinstance(node, ast.ImportFrom)}


def test_shared_modules_import_neither_scripts_nor_each_other_in_a_circle() -> None:
    graph = {f"measuring.{f.stem}": imported_by(f) for f in BENCH.glob("measuring/*.py")}
    assert "measuring.paths" in graph["measuring.side"]
    list(graphlib.TopologicalSorter(graph).static_order())  # raises CycleError
    scripts = {file.stem for file in BENCH.glob("*.py")}
    assert not any(scripts & modules for modules in graph.values())


PAIRS = [(2.0, 3.0), (4.0, 4.0), (1.0, 4.0), (5.0, 10.0), (10.0, 8.0)]


def comparison(bench: Any, at_most: bool) -> Any:
    module, side = bench("measuring.comparison"), bench("measuring.side").Side
    peer, ours = (side(name, "none.py", {}) for name in ("theirs", "ours"))
    return module.Comparison("work", "images/s", module.Target(1.5, at_most), peer, ours)


def test_a_summary_has_medians_of_sides_and_of_the_ratios_of_pairs(bench: Any) -> None:
    # Ratios 1.5, 1, 4, 2 and 0.8: not the ratio of the medians, which is 1.
    assert bench("measuring.comparison").summarize(PAIRS) == (4.0, 4.0, 1.5, 0.8, 4.0)


@pytest.mark.parametrize(
    ("at_most", "text", "met"),
    [(False, ">= 1.5", [False, True, True]), (True, "<= 1.5", [True, True, False])],
)
def test_a_target_is_met_from_its_side(
    bench: Any, at_most: bool, text: str, met: list[bool]
) -> None:
    target = bench("measuring.comparison").Target(1.5, at_most)
    assert str(target) == text
    assert [target.is_met(ratio) for ratio in (1.49, 1.5, 1.51)] == met


def test_cases_are_built_and_measured_in_turn(bench: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    cases, seconds = bench("measuring.cases"), itertools.count()
    monkeypatch.setitem(cases.CLOCKS, "cpu", lambda: next(seconds))
    built, computed = [], []

    def build(settings: dict[str, Any]) -> Any:
        built.append(settings["name"])
        return cases.Case(lambda: computed.append(settings["name"]))

    plan = [{"name": "step", "batches": 3}, {"name": "forward", "batches": 1}]
    settings = {"clock": "cpu", "repetitions": 2, "batch_size": 4, "cases": plan}
    measurements = cases._measurements(build, settings)
    assert [next(measurements), next(measurements)] == [12, 12]
    assert (built, len(computed)) == (["step"], 1 + 2 * 3)  # with one batch to warm up
    assert list(measurements) == [4, 4]
    assert computed.count("forward") == 1 + 2


def test_a_row_has_the_cells_of_the_header(bench: Any) -> None:
    module, results = bench("measuring.comparison"), bench("measuring.results")
    cells = module.row_cells(comparison(bench, False), module.summarize(PAIRS), "fused")
    assert len(cells) == len(results.HEADER)
    assert results.markdown_row(cells) == (
        "| work | theirs | 4 images/s | 4 images/s, engine fused | 1.5 | 0.8 to 4 | >= 1.5 | yes |"
    )
    slower = [(peer, 0.9 * ours) for peer, ours in PAIRS]
    row = module.row_cells(comparison(bench, False), module.summarize(slower))
    assert row[3:] == ["3.6 images/s", "1.35", "0.72 to 3.6", ">= 1.5", "no"]


def test_results_are_one_table_of_comparisons_and_then_the_others(bench: Any) -> None:
    machine = {"processor": "P", "cores": 2, "memory_gb": 4.0, "system": "S"}
    common = {"machine": machine, "date": "2030-01-02", "revision": "abc", "quick": False}
    growth = {"title": "growth", "header": ["rows", "s"], "rows": [["10", "1"]]}
    results = [{"rows": [{"row": "| a |"}], **common}, {"rows": [growth], **common}]
    text = bench("table").results_text(results)
    assert text.splitlines()[:3] == ["P, 2 cores, 4.0 GB, S", "2030-01-02, revision abc", ""]
    assert text.splitlines()[-7:] == (
        ["| a |", "", "growth", "", "| rows | s |", "| --- | --- |", "| 10 | 1 |"]
    )
    results[0]["quick"] = True
    assert bench("table").results_text(results).startswith("--quick: these figures mean nothing")


@pytest.fixture
def sources(bench: Any, monkeypatch: pytest.MonkeyPatch) -> list[np.ndarray]:
    """Small pictures in place of the photographs, with which scikit-learn would be imported."""
    rng = np.random.default_rng(1)
    pictures = [rng.integers(0, 256, (60, 90, 3), dtype=np.uint8) for _ in range(2)]
    monkeypatch.setattr(bench("measuring.images"), "photographs", lambda: pictures)
    return pictures


def test_an_image_is_a_function_of_its_number_and_size_alone(
    bench: Any, sources: list[np.ndarray]
) -> None:
    images = bench("measuring.images")
    drawn = [images.draw_image(sources, number, (20, 30)) for number in range(8)]
    again = [images.draw_image(sources, number, (20, 30)) for number in (7, 0)]
    np.testing.assert_array_equal(again[0], drawn[7])
    np.testing.assert_array_equal(again[1], drawn[0])
    assert all(image.dtype == np.uint8 and image.ndim == 3 for image in drawn)
    assert all(20 <= side <= 30 for image in drawn for side in image.shape[:2])
    assert len({image.tobytes() for image in drawn}) == 8
    assert images.draw_image(sources, 0, (25, 25)).shape == (25, 25, 3)


@pytest.mark.usefixtures("sources")
def test_images_are_made_once_and_missing_ones_again(bench: Any, tmp_path: Path) -> None:
    images = bench("measuring.images")
    files = images.make_images(tmp_path, 3, (20, 30))
    first = [file.read_bytes() for file in files]
    files[0].write_bytes(b"kept")
    files[2].unlink()
    assert images.make_images(tmp_path, 3, (20, 30)) == files
    assert [file.read_bytes() for file in files] == [b"kept", *first[1:]]
    assert cv2.imread(str(files[1])).shape[2] == 3


@pytest.mark.usefixtures("sources")
def test_files_of_one_image_are_distinct_and_decode_alike(bench: Any, tmp_path: Path) -> None:
    tree = bench("prepare").distinct_images(tmp_path, 20)
    files = sorted(tree.glob("*/*.jpg"), key=lambda file: file.name)
    assert len(files) == 20
    assert len({file.read_bytes() for file in files}) == 20
    assert len({cv2.imread(str(file)).tobytes() for file in files}) == 2


ALLOCATE = "import time; held = bytearray(b'1') * {size}; time.sleep(0.2)"
IN_A_CHILD = "import subprocess, sys; subprocess.run([sys.executable, '-S', '-c', {code!r}])"


def test_peak_memory_is_that_of_a_process_and_its_children(bench: Any) -> None:
    peak_memory = bench("measuring.processes").peak_memory
    small, large, parent = (
        peak_memory([sys.executable, "-S", "-c", code])
        for code in (
            ALLOCATE.format(size=1),
            ALLOCATE.format(size=100_000_000),
            IN_A_CHILD.format(code=ALLOCATE.format(size=100_000_000)),
        )
    )
    assert large - small == pytest.approx(100, abs=5)
    assert parent > large
    with pytest.raises(subprocess.CalledProcessError):
        peak_memory([sys.executable, "-S", "-c", "raise SystemExit(3)"])


def test_processor_time_counts_what_was_computed(bench: Any) -> None:
    cpu_seconds = bench("measuring.processes").cpu_seconds
    code = "while True: pass"
    with subprocess.Popen([sys.executable, "-S", "-c", code]) as busy:
        try:
            deadline = time.monotonic() + 20
            while cpu_seconds(busy.pid) < 0.1 and time.monotonic() < deadline:
                time.sleep(0.01)
            assert cpu_seconds(busy.pid) >= 0.1
        finally:
            busy.kill()
    assert cpu_seconds(busy.pid) == 0


WORKER = """\
from measuring.worker import FACTS, serve

def set_up(settings):
    FACTS["set_up"] = True
    print("for the eyes")
    values = iter(settings["values"])
    return lambda: next(values)

serve(set_up, "numpy")
"""


def test_sides_measure_in_turn_and_the_result_is_written(
    bench: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module, side = bench("measuring.comparison"), bench("measuring.side")
    script = tmp_path / "side.py"
    script.write_text(WORKER)
    # More than a command line can hold.
    filling = "x" * 200_000
    sides = [
        side.Side(name, str(script), {"values": list(values), "filling": filling})
        for name, values in zip(("theirs", "ours"), zip(*PAIRS))
    ]
    monkeypatch.setattr(sys, "argv", ["scripts/bench/work.py"])
    monkeypatch.setattr(side, "SETTLING", 0)
    options = bench("measuring.options").Options(
        5, 0, False, tmp_path, tmp_path / "out", Path(sys.executable)
    )
    row = module.Comparison("work", "images/s", module.Target(1.5), *sides)
    module.run_comparisons([row], options)
    result = json.loads((tmp_path / "out/work.json").read_text())
    (row,) = result["rows"]
    assert row["pairs"] == [list(pair) for pair in PAIRS]
    assert row["row"] == (
        "| work | theirs | 4 images/s | 4 images/s | 1.5 | 0.8 to 4 | >= 1.5 | yes |"
    )
    assert [side["name"] for side in row["sides"]] == ["theirs", "ours"]
    assert all(side["numpy"] == np.__version__ and side["set_up"] for side in row["sides"])


def test_every_script_that_measures_is_run_and_its_result_printed(bench: Any) -> None:
    scripts = {f.stem for f in BENCH.glob("*.py") if "read_options(__doc__" in f.read_text()}
    assert set(bench("table").ORDER) == scripts
    listed = (BENCH / "all.sh").read_text().partition("for name in ")[2].partition("; do")[0]
    assert sorted(listed.replace("\\", "").split()) == sorted(scripts)


PYTHON = """\
#!/usr/bin/env bash
# Measures nothing: notes what it is called with, and leaves a result.
name=$(basename "$1" .py)
echo "$name ${*:2}" >>calls
if [[ $name == memory && -e broken ]]; then
  echo "no memory" >&2
  exit 1
fi
while [[ $# -gt 1 ]]; do
  if [[ $1 == --out ]]; then touch "$2/$name.json"; fi
  shift
done
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """all.sh and the scripts' names in a folder of their own, nothing to install."""
    bench = tmp_path / "a project/scripts/bench"
    bench.mkdir(parents=True)
    shutil.copy(BENCH / "all.sh", bench)
    for file in BENCH.glob("*.py"):
        (bench / file.name).touch()
        os.utime(bench / file.name, (1, 1))
    for file in (bench / "setup.sh", bench.parent / "setup.sh"):
        file.write_text("#!/bin/sh\n")
    python = tmp_path / "a project/.venv/bin/python"
    python.parent.mkdir(parents=True)
    python.write_text(PYTHON)
    for file in (python, bench / "setup.sh", bench.parent / "setup.sh"):
        file.chmod(0o755)
    return tmp_path / "a project"


def called(project: Path, *words: str) -> tuple[subprocess.CompletedProcess[str], list[str]]:
    """Run all.sh; what it ended with, and what it ran."""
    (project / "calls").unlink(missing_ok=True)
    command = [str(project / "scripts/bench/all.sh"), *words]
    done = subprocess.run(command, capture_output=True, text=True)
    return done, (project / "calls").read_text().splitlines()


def test_all_measures_what_is_missing_or_older_than_its_script(project: Path) -> None:
    done, first = called(project)
    assert done.returncode == 0, done.stderr
    assert "loader --out build/bench/results" in first
    assert first[-1] == "table build/bench/results"
    assert called(project)[1] == first[-1:]

    os.utime(project / "scripts/bench/loader.py")
    os.utime(project / "build/bench/results/loader.json", (2, 2))
    (project / "build/bench/results/growth.json").unlink()
    assert [line.split()[0] for line in called(project)[1]] == ["loader", "growth", "table"]

    # What --quick finds does not count, neither for the results nor for the next --quick.
    for _ in range(2):
        quick = called(project, "--quick")[1]
        assert len(quick) == len(first)
        assert quick[0].endswith("--quick --out build/bench/quick")


def test_all_goes_on_behind_a_script_that_fails_and_names_it(project: Path) -> None:
    (project / "broken").touch()
    done, calls = called(project)
    assert done.returncode == 1
    assert done.stderr == "no memory\nall.sh: failed: memory\n"
    assert calls[-1].startswith("table ")
    (project / "broken").unlink()
    assert [line.split()[0] for line in called(project)[1]] == ["memory", "table"]
