"""Folders of the benchmarks."""

from __future__ import annotations

from pathlib import Path

BENCH = Path(__file__).resolve().parent.parent
ROOT = BENCH.parent.parent
# Images, trained runs and results; Git ignores it.
CACHE = ROOT / "build/bench"
