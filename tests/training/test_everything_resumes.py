"""A training with all parts of recipes at once, stopped and resumed, ends bit for bit alike."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from fashionai.config import Config, load_config
from fashionai.datasets.prepared.samples import read_samples
from fashionai.errors import RunStoppedError
from fashionai.models.zoo import build_network
from fashionai.runs import Run, create_run
from fashionai.training.trainer import Trainer
from tests.support.installed import needs_torch
from tests.support.learners import DEVICES
from tests.support.resuming import Moment, assert_same_end
from tests.support.trained_runs import write_config

ENGINES = ["gluon", pytest.param("torch", marks=needs_torch)]
RECIPE = (
    *("epochs=2", "batch_size=8", "accumulate=3", "ema=0.8", "trainable={head: 1, all: 1}"),
    *("optimizer.name=adamw", "optimizer.lr=0.003", "optimizer.clip_norm=0.5"),
    *("optimizer.layer_decay=0.7", "schedule.name=one_cycle"),
    *("loss.focal_gamma=1.5", "loss.class_weights=effective", "loss.mixup=0.2"),
    *("data.sizes=[[0, 24], [0.5, 32]]", "data.soft_targets=teacher.csv"),
    "data.augment=[random_crop, {name: rand_augment, deviation: 3}, trivial_augment, aug_mix]",
)
# After the stop before: epochs have 3 or 4 steps of 24 images.
STEPS = [2, 3]


@pytest.fixture(autouse=True)
def inside(prepared: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(prepared)


def make_config(engine: str) -> Config:
    file = write_config(Path(), network="small_cnn")
    samples = read_samples(load_config(file), "train")
    names = [source.split("/", 1)[1] for source in samples.sources]
    numbers = ";".join(["0.5", "0.1", "0.1", "0.1", "0.1", "0.1"])
    task = samples.tasks[0].name
    Path("teacher.csv").write_text("".join(f"{name},{task},{numbers}\n" for name in names))
    return load_config(file, [f"engine={engine}", *RECIPE])


@pytest.mark.parametrize("engine", ENGINES)
def test_everything_at_once(monkeypatch: pytest.MonkeyPatch, engine: str) -> None:
    config = make_config(engine)
    whole, run = (create_run(Path(f"runs/{engine}-{name}")) for name in ("whole", "stopped"))
    Trainer(config, DEVICES[engine]).fit(whole)
    places = []
    for number in STEPS:
        trainer = Trainer(config, DEVICES[engine], Run(run))
        moment, kind = Moment(number), type(trainer.learner)

        def step_and_stop(*arguments: Any, moment: Moment = moment, step: Any = kind.step) -> Any:
            moment.pass_by()
            return step(*arguments)

        with monkeypatch.context() as patch:
            patch.setattr(kind, "step", step_and_stop)
            with pytest.raises(RunStoppedError) as stopped:
                trainer.fit(run)
        places.append(str(stopped.value).split(" after ")[0])
    assert places == ["stopped in epoch 1", "stopped in epoch 2"]
    Trainer(config, DEVICES[engine], Run(run)).fit(run)
    assert_same_end(whole.path, run.path)
    network = build_network("small_cnn", 6, 32, None)
    network.load_parameters(str(run.best_parameters))
