"""A device whose memory is used up before the first step, as by another program."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from fashionai.training.torch import opening
from fashionai.training.torch.networks import TrainedNetwork
from tests.support.commands import fashionai
from tests.support.trained_runs import write_config

FULL = "CUDA out of memory. Tried to allocate 20.00 MiB. GPU 3 has 79.1 GiB, of which 8 MiB is free"


def fail(*_: Any, **__: Any) -> None:
    raise torch.OutOfMemoryError(FULL)


@pytest.mark.parametrize(
    ("place", "name"), [(TrainedNetwork, "_place"), (opening, "join_processes")]
)
def test_a_full_device_is_one_line(
    prepared: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    place: Any,
    name: str,
) -> None:
    monkeypatch.chdir(prepared)
    monkeypatch.setattr(place, name, fail)
    options = ("--run", "runs/full", "--engine", "torch", "--device", "cpu")
    assert fashionai("train", "--config", write_config(prepared, epochs=1), *options) == 2
    (line,) = capsys.readouterr().err.splitlines()[-1:]
    assert line.startswith(f"Error: PyTorch stopped: {FULL}. Smaller batches need less memory")
    assert not Path("runs/full").exists()
