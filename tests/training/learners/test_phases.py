"""Layers that begin to learn in turn: which ones do, and that nothing but that is special."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fashionai.config import Config, load_config
from fashionai.datasets.prepared.samples import read_samples
from fashionai.errors import RunStoppedError
from fashionai.files.formats.array_lists import read_array_list, write_array_list
from fashionai.runs import Run, create_run
from fashionai.training import trainer as trainer_module
from fashionai.training.learners.phases import PhaseLearners
from fashionai.training.records.checkpoint import save_state
from fashionai.training.steps.schedules import learning_rate, momentum
from fashionai.training.trainer import Trainer
from tests.support.installed import needs_torch
from tests.support.learners import DEVICES, assert_close, open_one
from tests.support.resuming import Moment, assert_same_end
from tests.support.trained_runs import write_config

ENGINES = ["gluon", pytest.param("torch", marks=needs_torch)]
OPTIONS = ("optimizer.name=adamw", "optimizer.lr=0.003", "schedule.name=one_cycle", "batch_size=28")


@pytest.fixture(autouse=True)
def inside(prepared: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(prepared)


def make_config(engine: str, trainable: str, *overrides: str) -> Config:
    file = write_config(Path(), network="small_cnn")
    settings = (*OPTIONS, f"engine={engine}", f"trainable={trainable}", *overrides)
    return load_config(file, settings)


def changed(one: dict[str, np.ndarray], other: dict[str, np.ndarray]) -> set[str]:
    return {name for name, values in one.items() if not np.array_equal(values, other[name])}


@pytest.mark.parametrize("engine", ENGINES)
def test_more_layers_learn_from_phase_to_phase(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, engine: str
) -> None:
    saved: list[dict[str, np.ndarray]] = []

    def save_and_note(path: Path, learner: Any, progress: Any) -> None:
        saved.append(learner.parameters())
        save_state(path, learner, progress)

    monkeypatch.setattr(trainer_module, "save_state", save_and_note)
    config = make_config(engine, "{head: 1, last-stage: 1, all: 1}", "epochs=3", "data.augment=[]")
    trainer = Trainer(config, DEVICES[engine])
    begun = trainer.learner.parameters()
    with caplog.at_level("INFO"):
        trainer.fit(create_run(Path(f"runs/phases-{engine}")))
    assert changed(begun, saved[0]) == {"output.weight", "output.bias"}
    last = changed(saved[0], saved[1])
    assert {"output.weight", "output.bias"} < last < set(begun)
    assert changed(saved[1], saved[2]) == set(begun)
    lines = [line for line in caplog.messages if line.startswith("from epoch")]
    assert lines == [
        "from epoch 1 on, the output layer learns",
        "from epoch 2 on, the last stage learns too",
        "from epoch 3 on, all layers learn",
    ]
    # Not "in 1 of 1 view": one view for the one epoch that has kept features.
    assert any("computing the features of" in line for line in caplog.messages)


@pytest.mark.parametrize("engine", ENGINES)
def test_phases_are_trainings_of_their_own_with_one_schedule(engine: str) -> None:
    """A naive loop: a learner of each phase, from the weights that the one before has left."""
    config = make_config(engine, "{head: 2, all: 2}", "epochs=4", "data.augment=[]")
    run = create_run(Path(f"runs/composed-{engine}"))
    Trainer(config, DEVICES[engine]).fit(run)
    train, file = read_samples(config, "train"), Path(f"weights-{engine}.params")
    alone = config.changed({"trainable": "head"})
    write_array_list(file, open_one(alone, train, engine).parameters())
    for trainable, epochs in (("head", (0, 1)), ("all", (2, 3))):
        learner = open_one(config.changed({"trainable": trainable}), train, engine)
        with learner.loaded(file):
            for epoch in epochs:
                for step, batch in enumerate(learner.batches(epoch)):
                    place = 3 * epoch + step, learner.batch_plan.steps_per_epoch
                    rates = learning_rate(config, *place), momentum(config, *place)
                    learner.step(batch, epoch, step, *rates).read()
            parameters = learner.parameters()
        write_array_list(file, parameters)
    assert_close(parameters, read_array_list(run.last_parameters), 0)


class Killed(BaseException):
    """What no handler of errors catches."""


def kill_at_border(patch: pytest.MonkeyPatch, trainer: Trainer) -> None:
    """The end of the first phase is saved, the second one is not begun."""

    def enter(phases: PhaseLearners, epoch: int) -> bool:
        if epoch == 1:
            raise Killed
        return False

    patch.setattr(PhaseLearners, "enter", enter)


def stop_in_step(number: int) -> Callable[[pytest.MonkeyPatch, Trainer], None]:
    """Stop in the step of this number, of whichever learner."""

    def arrange(patch: pytest.MonkeyPatch, trainer: Trainer) -> None:
        moment, kind = Moment(number), type(trainer.learner)
        step = kind.step

        def step_and_stop(*arguments: Any) -> Any:
            moment.pass_by()
            return step(*arguments)

        patch.setattr(kind, "step", step_and_stop)

    return arrange


MOMENTS = [
    (stop_in_step(2), "stopped in epoch 1 after step 2,"),
    (kill_at_border, None),
    (stop_in_step(1), "stopped in epoch 2 after step 1,"),
    (stop_in_step(3), "stopped in epoch 3 after step 1,"),
]


@pytest.mark.parametrize("engine", ENGINES)
def test_stopped_around_the_border_and_resumed(
    monkeypatch: pytest.MonkeyPatch, engine: str
) -> None:
    options = ("epochs=3", "ema=0.8", "accumulate=2", "batch_size=14", "optimizer.clip_norm=1")
    config = make_config(engine, "{head: 1, all: 2}", *options)
    whole, run = (create_run(Path(f"runs/border-{engine}-{name}")) for name in ("whole", "stopped"))
    Trainer(config, DEVICES[engine]).fit(whole)
    for arrange, message in MOMENTS:
        trainer = Trainer(config, DEVICES[engine], Run(run))
        with monkeypatch.context() as patch:
            arrange(patch, trainer)
            with pytest.raises((RunStoppedError, Killed), match=message):
                trainer.fit(run)
    Trainer(config, DEVICES[engine], Run(run)).fit(run)
    assert_same_end(whole.path, run.path)


def test_soft_targets_are_read_once_for_all_phases() -> None:
    """The file is gone when the second phase begins."""
    file = Path("teacher.csv")
    config = make_config("gluon", "{head: 1, all: 1}", "epochs=2", f"data.soft_targets={file}")
    samples = read_samples(config, "train")
    even = ";".join(["0.16666667"] * 6)
    names = [source.split("/", 1)[1] for source in samples.sources]
    file.write_text("".join(f"{name},{samples.tasks[0].name},{even}\n" for name in names))
    trainer = Trainer(config, DEVICES["gluon"])
    file.unlink()
    trainer.fit(create_run(Path("runs/taught")))
    assert Run.open("runs/taught").is_finished
