"""The best epoch, early stopping and the monitored score, on made-up rows and in runs."""

from __future__ import annotations

import csv
import json
import math
import shutil
from pathlib import Path
from typing import Any

import pytest

from fashionai.config import Config, load_config
from fashionai.families import find_task
from fashionai.frameworks.mxnet import import_mxnet
from fashionai.metrics import SCORE_NAMES
from fashionai.runs import Run, RunFolder, create_run
from fashionai.training.records.history import (
    choose_best,
    find_best,
    is_finished,
    score_name,
    stopped_early,
    write_history,
)
from fashionai.training.trainer import Trainer
from tests.support.commands import run_here
from tests.support.trained_runs import write_config

mx = import_mxnet()

NAN = math.nan
SCORES = tuple(SCORE_NAMES)


def make_rows(val: list[float], ema: list[float] | None = None, score: str = "map"):
    """Rows with the given scores; what else they hold does not matter."""
    rows = []
    for epoch, value in enumerate(val, 1):
        row: dict[str, Any] = {
            "epoch": epoch,
            "seconds": 1.0,
            "val_map": 0.0,
            "val_log_loss": 1.0,
            f"val_{score}": value,
        }
        if ema is not None:
            row.update({"ema_map": 0.0, "ema_log_loss": 1.0, f"ema_{score}": ema[epoch - 1]})
        rows.append(row)
    return rows


def make_config(**values: Any) -> Config:
    return Config.model_validate({"task": "skirt", "epochs": 20, **values})


@pytest.mark.parametrize(
    ("scores", "monitor", "epoch"),
    [
        ([0.1, 0.7, 0.3], "map", 2),
        ([0.5, 0.7, 0.7, 0.7], "map", 2),
        ([NAN, 0.1, NAN, 0.2, NAN], "map", 4),
        ([NAN, NAN], "map", 1),
        ([0.0, -0.0], "map", 1),
        ([0.9, 0.2, 0.4], "log_loss", 2),
        ([NAN, 3.0, 0.2, 0.2], "log_loss", 3),
        ([0.1, 0.9], "mrr", 2),
    ],
)
def test_the_best_epoch_is_the_first_of_the_best(scores, monitor, epoch) -> None:
    best = find_best(make_rows(scores, score=monitor), monitor)
    assert best.row["epoch"] == epoch
    assert best.score == scores[epoch - 1] or math.isnan(best.score)


def test_of_equal_scores_the_smaller_loss_is_better() -> None:
    """An easy validation split scores 1 at once, by weights that have hardly learnt."""
    rows = make_rows([1.0, 0.9, 1.0, 1.0, 1.0])
    for row, loss in zip(rows, (0.6, 0.01, 0.2, 0.1, 0.1)):
        row["val_log_loss"] = loss
    assert find_best(rows, "map").row["epoch"] == 4


def test_the_best_epoch_of_averaged_weights_is_their_own() -> None:
    rows = make_rows([0.9, 0.1, 0.2], [0.3, 0.5, 0.8])
    assert find_best(rows, "map").row["epoch"] == 1
    assert find_best(rows, "map", "ema") == ("ema", rows[2], 0.8)


def test_scores_of_one_task_among_several_count_by_their_direction() -> None:
    rows = make_rows([0.9, 0.2], score="skirt.log_loss")
    assert find_best(rows, "skirt.log_loss").row["epoch"] == 2
    assert score_name("skirt.log_loss") == "skirt log loss"
    assert score_name("map") == "mAP"


def test_last_keeps_the_last_epoch_whatever_it_scores() -> None:
    rows = make_rows([0.9, 0.1, 0.2], [0.3, 0.9, 0.8])
    assert find_best(rows, "last") == ("val", rows[2], 0.2)
    assert find_best(rows[:2], "last") == ("val", rows[1], 0.1)
    assert choose_best(rows, "last").row is rows[2]


@pytest.mark.parametrize("losses", [(0.1, 0.2), (0.2, 0.1)])
def test_with_last_no_score_chooses_between_plain_and_averaged_weights(losses) -> None:
    rows = make_rows([0.9, 0.1], [0.3, 0.5])
    rows[1] |= dict(zip(("val_log_loss", "ema_log_loss"), losses))
    assert choose_best(rows, "last") == ("ema", rows[1], 0.5)
    assert choose_best(make_rows([0.9, 0.1]), "last").kind == "val"


def epochs_trained(val: list[float], ema: list[float] | None = None, **config: Any) -> int:
    """How many epochs a run of these scores has when it ends, asked after every epoch."""
    settings = make_config(**config)
    rows = make_rows(val, ema, settings.monitor)
    for count in range(1, len(rows) + 1):
        if is_finished(settings, rows[:count]):
            return count
    return 0


PATIENCE = {"early_stopping": {"patience": 3}}


@pytest.mark.parametrize(
    ("scores", "config", "epochs"),
    [
        ([0.1] * 30, {}, 20),
        ([0.1] * 30, PATIENCE, 4),
        ([0.5, 0.4, 0.4, 0.6, 0.5, 0.5, 0.6], PATIENCE, 7),
        ([0.1, 0.2, 0.3, 0.4, 0.5], PATIENCE, 0),
        ([NAN] * 30, PATIENCE, 3),
        ([NAN, NAN, 0.1, NAN, NAN, NAN], PATIENCE, 6),
        ([0.5, 0.4, 0.3, 0.2], {"early_stopping": {"patience": 1}}, 2),
        # Each epoch gains, but no three together as much as min_delta.
        ([0.5, 0.51, 0.52, 0.53], {"early_stopping": {"patience": 3, "min_delta": 0.05}}, 4),
        ([0.5, 0.53, 0.56, 0.6], {"early_stopping": {"patience": 3, "min_delta": 0.05}}, 0),
        ([0.5, 0.75, 1.0], {"early_stopping": {"patience": 1, "min_delta": 0.25}}, 2),
        ([0.9, 0.8, 0.7, 0.6], {**PATIENCE, "monitor": "log_loss"}, 0),
        ([0.6, 0.7, 0.8, 0.9], {**PATIENCE, "monitor": "log_loss"}, 4),
    ],
)
def test_a_run_ends_after_so_many_epochs_without_a_gain(scores, config, epochs) -> None:
    assert epochs_trained(scores, **config) == epochs


PHASES = {"trainable": {"head": 3, "all": 5}, "epochs": 8, "early_stopping": {"patience": 2}}


@pytest.mark.parametrize(
    ("scores", "epochs"),
    [
        ([0.6, 0.6, 0.6, 0.7, 0.6, 0.6], 6),
        # The first epochs of all layers are worse than the head alone.
        ([0.6, 0.6, 0.6, 0.4, 0.7, 0.6, 0.6], 7),
        ([0.6, 0.6, 0.6, 0.4, 0.5, 0.8, 0.9, 1.0], 5),
    ],
)
def test_only_the_last_of_several_phases_is_ended(scores, epochs) -> None:
    assert epochs_trained(scores, **PHASES) == epochs


def test_an_epoch_counts_by_the_better_of_plain_and_averaged_weights() -> None:
    falling, rising = [0.5, 0.4, 0.3, 0.2, 0.1], [0.1, 0.2, 0.3, 0.6, 0.7]
    assert epochs_trained(falling, **PATIENCE) == 4
    assert epochs_trained(falling, rising, **PATIENCE) == 0
    assert epochs_trained(rising, falling, **PATIENCE) == 0
    assert epochs_trained(falling, [NAN] * 5, **PATIENCE) == 4


def test_a_run_of_all_its_epochs_has_not_stopped_early() -> None:
    config = make_config(epochs=4, **PATIENCE)
    rows = make_rows([0.1] * 4)
    assert is_finished(config, rows)
    assert not stopped_early(config, rows)
    assert stopped_early(make_config(epochs=5, **PATIENCE), rows)


def full_rows(val: list[float], ema: list[float], score: str) -> list[dict[str, Any]]:
    """Rows with all scores; those that are not given are the epoch's number."""
    others = [
        {f"{kind}_{name}": float(epoch) for kind in ("val", "ema") for name in SCORES}
        for epoch in range(1, len(val) + 1)
    ]
    return [{**other, **row} for other, row in zip(others, make_rows(val, ema, score))]


@pytest.mark.parametrize(
    ("monitor", "val", "ema", "weights", "epoch"),
    [
        ("accuracy", [0.1, 0.6, 0.2], [0.1, 0.2, 0.7], "best_ema.params", 3),
        ("accuracy", [0.1, 0.8, 0.2], [0.1, 0.2, 0.7], "best.params", 2),
        ("accuracy", [0.1, 0.7, 0.2], [0.7, 0.2, 0.7], "best.params", 2),
        ("accuracy", [NAN] * 3, [NAN, 0.2, 0.1], "best_ema.params", 2),
        ("log_loss", [0.9, 0.6, 0.8], [0.5, 0.7, 0.7], "best_ema.params", 1),
        ("log_loss", [0.9, 0.4, 0.8], [0.5, 0.7, 0.7], "best.params", 2),
    ],
)
def test_metrics_name_the_better_weights_by_the_monitor(
    tmp_path: Path, monitor, val, ema, weights, epoch
) -> None:
    run = RunFolder(tmp_path)
    rows = full_rows(val, ema, monitor)
    write_history(run, make_config(monitor=monitor), [find_task("skirt")], rows, "abc")
    metrics = json.loads(run.metrics_file.read_text())
    assert (metrics["weights"], metrics["best_epoch"]) == (weights, epoch)
    assert metrics["best"][monitor] == (ema if "ema" in weights else val)[epoch - 1]
    assert Run(run).weights_file == tmp_path / weights
    with open(run.history_file) as handle:
        assert [float(row["epoch"]) for row in csv.DictReader(handle)] == [1, 2, 3]


def history(run: Path) -> list[dict[str, float]]:
    with open(run / "history.csv") as handle:
        return [{key: float(value) for key, value in row.items()} for row in csv.DictReader(handle)]


def test_a_run_that_stops_early_is_logged_and_finished(prepared: Path) -> None:
    """No epoch can gain 0.9 over the first: patience 2 ends the run after the third."""
    config = write_config(prepared, epochs=9)
    early = ["early_stopping.patience=2", "early_stopping.min_delta=0.9"]
    done = run_here("train", "--config", config, "--run", "runs/early", *early, cwd=prepared)
    assert done.returncode == 0, done.stderr
    run = prepared / "runs/early"
    assert "stopped early: mAP has not improved" in done.stdout
    metrics = json.loads((run / "metrics.json").read_text())
    assert (metrics["finished"], metrics["stopped_early"], metrics["epochs"]) == (True, True, 3)
    assert len(history(run)) == 3
    before = {path.name: path.read_bytes() for path in run.iterdir()}
    again = run_here("train", "--run", "runs/early", "--resume", cwd=prepared)
    assert again.returncode == 0, again.stderr
    assert "already finished" in again.stdout
    assert {path.name: path.read_bytes() for path in run.iterdir()} == before


def test_an_early_end_that_only_the_state_knows_is_found_again(
    prepared: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A kill between the state and metrics.json: resuming ends at once."""
    monkeypatch.chdir(prepared)
    overrides = ["early_stopping.patience=1", "early_stopping.min_delta=0.9"]
    config = load_config(write_config(prepared, epochs=9), overrides)
    run = create_run(prepared / "runs/early-killed")
    metrics = Trainer(config, [mx.cpu()]).fit(run)
    assert metrics["epochs"] == 2
    run.metrics_file.unlink()
    assert not Run(run).is_finished
    assert Trainer(config, [mx.cpu()], Run(run)).fit(run) == metrics


def test_best_parameters_are_those_of_the_best_epoch_by_the_monitor(
    prepared: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Loaded again, both files score what the history's best rows by log loss say."""
    monkeypatch.chdir(prepared)
    overrides = ["schedule.name=constant", "monitor=log_loss", "ema=0.5"]
    config = load_config(write_config(prepared, epochs=5, lr=0.3), overrides)
    run = create_run(prepared / "runs/log-loss")
    trainer = Trainer(config, [mx.cpu()])
    metrics = trainer.fit(run)
    rows = history(run.path)
    assert len({row["val_log_loss"] for row in rows}) == 5, "any epoch's file would do"
    for kind, file in (("val", run.best_parameters), ("ema", run.best_averaged_parameters)):
        trainer.learner.network.load_parameters(str(file))
        scores = trainer.learner.scores(trainer.val_samples)
        lowest = min(row[f"{kind}_log_loss"] for row in rows)
        assert scores["log_loss"] == pytest.approx(lowest, rel=1e-9)
        assert metrics["by_weights"][file.name]["log_loss"] == lowest
    both = [row[f"{kind}_log_loss"] for row in rows for kind in ("val", "ema")]
    assert metrics["best"]["log_loss"] == min(both)


def test_with_last_a_run_keeps_its_last_epoch(
    prepared: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    folder = shutil.copytree(prepared, tmp_path / "skirts")
    # Validation images of other classes: the more a network learns, the worse it scores.
    validation = folder / "data/train_valid/skirt_length_labels/val"
    images = [file.read_bytes() for file in sorted(validation.glob("*/*"))]
    for file, other in zip(sorted(validation.glob("*/*")), images[3:] + images[:3]):
        file.unlink()  # the files are links
        file.write_bytes(other)
    monkeypatch.chdir(folder)
    config = load_config(write_config(folder, epochs=4, lr=0.002), ["monitor=last"])
    run = create_run(folder / "runs/last")
    with caplog.at_level("INFO"):
        metrics = Trainer(config, [mx.cpu()]).fit(run)
    rows = history(run.path)
    assert min(row["val_log_loss"] for row in rows) < rows[-1]["val_log_loss"], "the last is best"
    assert metrics["best_epoch"] == 4
    assert metrics["best"]["map"] == rows[-1]["val_map"]
    assert run.best_parameters.read_bytes() == run.last_parameters.read_bytes()
    assert f"finished: last epoch 4, validation mAP {rows[-1]['val_map']:.4f}" in caplog.text
