"""What the package reads from the environment."""

from __future__ import annotations

import pytest

from fashionai import runtime


@pytest.mark.parametrize(
    ("processes", "cores"), [("", 8), ("1", 8), ("3", 2), ("100", 1), ("0", 8), ("x", 8)]
)
def test_processes_of_a_machine_share_its_cores(
    monkeypatch: pytest.MonkeyPatch, processes: str, cores: int
) -> None:
    monkeypatch.setattr(runtime.os, "sched_getaffinity", lambda _: set(range(8)), raising=False)
    monkeypatch.setattr(runtime, "_container_cores", lambda: 64)
    monkeypatch.setenv("LOCAL_WORLD_SIZE", processes)
    assert runtime.usable_cores() == cores
