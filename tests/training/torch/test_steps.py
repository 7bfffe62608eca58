"""The forward pass of a training step: naive losses, and compiled steps that fail or work."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fashionai.config import load_config
from fashionai.errors import RunStoppedError
from fashionai.frameworks.devices import Device
from fashionai.frameworks.torch import import_torch
from fashionai.runs import Run, create_run
from fashionai.training.torch import steps as steps_module
from fashionai.training.torch.steps import CompiledSteps, StepComputation
from fashionai.training.trainer import Trainer
from tests.support.commands import run_cli
from tests.support.installed import can_compile
from tests.support.resuming import Moment, assert_same_end, stop_in_step
from tests.support.trained_runs import write_config

torch = import_torch()
COLUMNS = [slice(0, 3), slice(3, 5)]


def test_losses_and_correct_predictions_are_those_of_a_loop() -> None:
    """Two heads: rows of either, rows without any target, weights of classes."""
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(30, 5)).astype(np.float32)
    targets = np.zeros((30, 5), np.float32)
    for row in range(30):
        part = COLUMNS[row % 2]
        size = part.stop - part.start
        if row % 5:
            targets[row, part] = rng.dirichlet(np.ones(size))
    weighted = targets * np.array([1, 2, 0.5, 3, 1], np.float32)
    steps = StepComputation(torch.nn.Identity(), torch.nn.Identity(), COLUMNS, "float32")
    loss, sums = steps(*map(torch.tensor, (logits, targets, weighted)), None)
    expected, correct = 0.0, 0
    for row in range(30):
        for part in COLUMNS:
            chances = np.exp(logits[row, part].astype(np.float64))
            chances /= chances.sum()
            expected -= (weighted[row, part] * np.log(chances)).sum()
            of_head = part.start <= targets[row].argmax() < part.stop
            correct += of_head and targets[row, part].argmax() == chances.argmax()
    assert loss.item() == pytest.approx(expected, rel=1e-5)
    assert sums.tolist() == [pytest.approx(expected, rel=1e-5), correct]


class FailingCompiler:
    """Stands for torch.compile; fails at the calls of these numbers."""

    def __init__(self, *failures: int) -> None:
        self.failures, self.calls = failures, 0

    def __call__(self, module: Any, **options: Any) -> Any:
        def compiled(*arguments: Any) -> Any:
            self.calls += 1
            if self.calls in self.failures:
                raise RuntimeError("no compiler\nand more")
            return "compiled"

        return compiled


def plain(*arguments: Any) -> Any:
    return "plain"


def test_a_failure_of_the_first_step_is_told_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "fashionai")
    compiler = FailingCompiler(1)
    monkeypatch.setattr(steps_module.torch, "compile", compiler)
    steps: Any = CompiledSteps(plain)  # type: ignore[arg-type]
    assert [steps(1), steps(2)] == ["plain", "plain"]
    assert compiler.calls == 1
    assert caplog.messages == ["torch.compile failed, the network is not compiled: no compiler"]


def test_a_failure_of_a_later_step_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(steps_module.torch, "compile", FailingCompiler(2))
    steps: Any = CompiledSteps(plain)  # type: ignore[arg-type]
    assert steps(1) == "compiled"
    with pytest.raises(RuntimeError, match="no compiler"):
        steps(2)


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache of compiled code, and code that other tests have compiled forgotten."""
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path / "inductor"))
    torch.compiler.reset()
    return tmp_path / "inductor"


@pytest.mark.compiled
def test_without_a_compiler_it_is_trained_all_the_same(prepared: Path, cache: Path) -> None:
    """One line says so, and nothing of PyTorch's own."""
    programs = cache.parent / "bin"
    programs.mkdir()
    (programs / "env").symlink_to(shutil.which("env") or "/usr/bin/env")
    environment = {k: v for k, v in os.environ.items() if k not in ("CC", "CXX")}
    overrides = ["engine=torch", "compile=true", "epochs=1"]
    done = run_cli(
        *("train", "--config", write_config(prepared), "--run", "runs/alone", *overrides),
        cwd=prepared,
        env={**environment, "PATH": str(programs)},
    )
    assert done.returncode == 0, done.stderr
    failures = [line for line in done.stdout.splitlines() if "torch.compile failed" in line]
    assert len(failures) == 1
    assert "the network is not compiled: " in failures[0]
    assert done.stderr == ""


@pytest.mark.compiled
@pytest.mark.skipif(not can_compile(), reason="needs a C++ compiler and Python's headers")
def test_compiled_training_resumes_with_the_same_bits(
    prepared: Path, cache: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """And learns what is learnt without compiling, with mixing and averages."""
    monkeypatch.chdir(prepared)
    caplog.set_level("INFO", "fashionai")
    file = write_config(prepared, epochs=3, batch_size=16)
    overrides = ["engine=torch", "ema=0.9", "loss.mixup=0.4", "optimizer.lr=0.01"]
    plain_config = load_config(file, overrides)
    config = load_config(file, [*overrides, "compile=true"])
    device = [Device("cpu")]
    begun, whole, run = (create_run(Path("runs") / name) for name in ("plain", "whole", "stopped"))
    trainers = [Trainer(plain_config, device), Trainer(config, device)]
    for trainer, folder in zip(trainers, (begun, whole)):
        trainer.fit(folder)
    assert "torch.compile failed" not in caplog.text
    histories = [trainer.progress.history for trainer in trainers]
    for expected, row in zip(*histories):
        assert row["train_loss"] == pytest.approx(expected["train_loss"], rel=0.02)
    for number in (3, 6):
        torch.compiler.reset()
        trainer = Trainer(config, device, Run(run))
        stop_in_step(trainer, Moment(number))
        with pytest.raises(RunStoppedError):
            trainer.fit(run)
    torch.compiler.reset()
    Trainer(config, device, Run(run)).fit(run)
    assert_same_end(whole.path, run.path)
