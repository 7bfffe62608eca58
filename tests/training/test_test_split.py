"""Scores of the test split beside those of validation: right, and chosen by nothing."""

from __future__ import annotations

import csv
import json
import signal
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from fashionai.config import load_config
from fashionai.datasets.prepared.samples import Samples
from fashionai.errors import RunStoppedError
from fashionai.frameworks.mxnet import import_mxnet
from fashionai.runs import create_run
from fashionai.training.records.history import just_collapsed
from fashionai.training.trainer import Trainer
from tests.support.commands import run_here, run_in
from tests.support.data_trees import write_idx_set
from tests.support.resuming import assert_same_end

mx = import_mxnet()

CONFIG = """\
task: fashion-mnist
model: {name: small_cnn, pretrained: false}
data: {resize_short: 28, crop: 28, augment: []}
epochs: 2
batch_size: 16
optimizer: {name: sgd, lr: 0.02}
schedule: {name: constant}
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("test-split")
    write_idx_set(folder / "idx", train=60, test=20, zipped=False)
    (folder / "c.yaml").write_text(CONFIG)
    steps = [["prepare", "--task", "fashion-mnist", "--data", "idx"]]
    for when in ("never", "end", "every-epoch"):
        run = ["--run", f"runs/{when}", f"evaluate_test={when}"]
        steps.append(["train", "--config", "c.yaml", *run])
    run_in(folder, *steps)
    return folder


def test_nothing_is_chosen_by_the_test(folder: Path) -> None:
    for file in ("best.params", "last.params"):
        first = mx.nd.load(str(folder / "runs/never" / file))
        for when in ("end", "every-epoch"):
            other = mx.nd.load(str(folder / f"runs/{when}" / file))
            for name, value in first.items():
                assert np.array_equal(value.asnumpy(), other[name].asnumpy()), (when, file, name)


def test_a_training_that_is_stopped_in_the_test_goes_on_to_the_same_end(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    config = load_config("c.yaml", ["evaluate_test=end"])
    trainer, run = Trainer(config, [mx.cpu()]), create_run("runs/stopped")
    learner_scores = trainer.learner.scores

    def stop_in_the_test(samples: Samples, check: Callable[[], None]) -> dict[str, float]:
        if samples is trainer.test_samples:
            signal.raise_signal(signal.SIGTERM)
        return learner_scores(samples, check)

    monkeypatch.setattr(trainer.learner, "scores", stop_in_the_test)
    with pytest.raises(RunStoppedError, match="stopped in epoch 2 after step 3, the state is"):
        trainer.fit(run)
    assert run_here("train", "--run", "runs/stopped", "--resume", cwd=folder).returncode == 0
    assert_same_end(folder / "runs/stopped", folder / "runs/end")
    ended, whole = (
        json.loads((folder / "runs" / name / "metrics.json").read_text())["test"]
        for name in ("stopped", "end")
    )
    assert ended == whole


@pytest.mark.parametrize("when", ["end", "every-epoch"])
def test_the_test_scores_are_those_of_evaluate(folder: Path, when: str) -> None:
    arguments = ["--run", f"runs/{when}", "--split", "test", "--crops", "1", "--json", "t.json"]
    done = run_here("evaluate", *arguments, cwd=folder)
    assert done.returncode == 0, done.stderr
    expected = json.loads((folder / "t.json").read_text())
    metrics = json.loads((folder / f"runs/{when}/metrics.json").read_text())
    for name in ("accuracy", "map", "log_loss", "balanced_accuracy"):
        assert metrics["test"][name] == pytest.approx(expected[name], abs=1e-5)
    with open(folder / f"runs/{when}/history.csv", newline="") as handle:
        rows = list(csv.DictReader(handle))
    assert ("test_map" in rows[0]) == (when == "every-epoch")
    if when == "every-epoch":
        best = rows[metrics["best_epoch"] - 1]
        assert float(best["test_accuracy"]) == pytest.approx(expected["accuracy"], abs=1e-5)


def rows_of(*answered: int) -> list[dict[str, float]]:
    return [{"val_predicted_classes": count} for count in answered]


def test_a_collapse_is_logged_once_and_not_at_the_beginning() -> None:
    assert not just_collapsed(rows_of(1), epochs=5)
    assert just_collapsed(rows_of(1), epochs=1)
    assert just_collapsed(rows_of(1, 1), epochs=5)
    assert not just_collapsed(rows_of(1, 1, 1), epochs=5)
    assert just_collapsed(rows_of(1, 2, 1), epochs=5)
    assert not just_collapsed(rows_of(1, 2, 3), epochs=5)


def test_a_collapse_of_few_images_is_logged_after_three_epochs() -> None:
    said = [just_collapsed(rows_of(*[2, 1, 1, 1, 1][:n]), epochs=9, images=10) for n in range(1, 6)]
    assert said == [False, False, False, True, False]
    assert just_collapsed(rows_of(1, 1, 1), epochs=9, images=10)
    assert not just_collapsed(rows_of(1, 2, 1, 2, 1), epochs=9, images=10)
    assert not just_collapsed(rows_of(1), epochs=1, images=10)
    assert not any(just_collapsed(rows_of(*[1] * n), epochs=9, images=5) for n in range(1, 9))


def test_a_rate_that_is_far_too_high_is_reported(folder: Path) -> None:
    """A network whose ReLUs have all died answers its bias, whatever it sees."""
    overrides = ["optimizer.lr=3", "optimizer.momentum=0", "epochs=3", "model.name=logos_cnn"]
    sizes = ["data.resize_short=80", "data.crop=80"]
    done = run_here("train", "--config", "c.yaml", *overrides, *sizes, cwd=folder)
    assert "the network has collapsed: all validation images get the same class" in done.stdout, (
        done.stderr
    )
