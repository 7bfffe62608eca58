"""The history of a run: one row per epoch, the best epochs, and the files that hold them.

A row holds the scores of the plain weights as ``val_<score>``, those of averaged weights
as ``ema_<score>`` and those of the test split as ``test_<score>``. Nothing is selected by
the test scores.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Optional

from fashionai.config import LAST, Config, reported_score
from fashionai.errors import RunError
from fashionai.files import file_hash, write_json
from fashionai.files.formats.csv_files import write_rows
from fashionai.metrics import LOWER_IS_BETTER, SCORE_NAMES
from fashionai.runs import RunFolder, read_metrics
from fashionai.runs.recorded_weights import (
    COMING_HASHES,
    WEIGHTS_HASHES,
    recorded_hashes,
)
from fashionai.tasks import Task

EPOCH_HEADER = "  epoch  train loss  validation loss  accuracy     mAP  images/s  learning rate"

# The columns of history.csv and their values in one epoch.
EpochRow = dict[str, float]

# What each row has beside the scores, and each kind of weights beside those of SCORE_NAMES.
COLUMNS = (
    *("epoch", "learning_rate", "train_loss", "train_accuracy"),
    *("images_per_second", "seconds"),
)
PREDICTED_CLASSES = "predicted_classes"

# Fewer validation images than these often get the same class by chance.
FEW_IMAGES = 20
# With fewer images chance gives all of them one class again and again.
FEWEST_IMAGES = 6


class BestEpoch(NamedTuple):
    """The best epoch of one kind of weights: ``val`` (plain) or ``ema`` (averaged)."""

    kind: str
    row: EpochRow
    score: float


def scores_in_row(kind: str, scores: Mapping[str, float]) -> EpochRow:
    """The scores under the names that they have in a row: ``val_map`` and so on."""
    return {f"{kind}_{name}": score for name, score in scores.items()}


def missing_columns(rows: Sequence[EpochRow]) -> list[str]:
    """The columns that some row lacks, as rows of earlier versions lack later scores."""
    names = {name for row in rows for name in row}
    kinds = [kind for kind in ("ema", "test") if any(name.startswith(f"{kind}_") for name in names)]
    scores = [f"{kind}_{name}" for kind in ("val", *kinds) for name in SCORE_NAMES]
    expected = [*COLUMNS, *scores, f"val_{PREDICTED_CLASSES}"]
    return [name for name in expected if any(name not in row for row in rows)]


def score_name(monitor: str) -> str:
    """The name of a monitored score: ``mAP``, or ``skirt mAP`` for one task of several."""
    task, _, score = monitor.rpartition(".")
    return f"{task} {SCORE_NAMES[score]}".strip()


def find_best(rows: Sequence[EpochRow], monitor: str, kind: str = "val") -> BestEpoch:
    """The epoch with the best monitored score of one kind of weights, or the last one.

    NaN is worse than any other score. Equal scores, which are common in small validation
    splits, are ranked by the lower validation loss, and equal losses by the earlier epoch.
    """
    row = max(rows, key=lambda row: rank(row, monitor, kind))
    return BestEpoch(kind, row, row[f"{kind}_{reported_score(monitor)}"])


def choose_best(rows: Sequence[EpochRow], monitor: str) -> BestEpoch:
    """The better of the best plain and the best averaged weights; the plain ones if equal.

    With ``last`` no score chooses: it is the averaged weights where there are any.
    """
    kinds = weight_kinds(rows[0])
    if monitor == LAST:
        return find_best(rows, monitor, kinds[-1])
    candidates = [find_best(rows, monitor, kind) for kind in kinds]
    return max(candidates, key=lambda best: rank(best.row, monitor, best.kind))


def best_file(run: RunFolder, kind: str) -> Path:
    """The file of the best weights of a kind."""
    return run.best_averaged_parameters if kind == "ema" else run.best_parameters


def weight_kinds(row: EpochRow) -> list[str]:
    """The kinds of weights that a row has scores of: ``val``, or ``val`` and ``ema``."""
    return [kind for kind in ("val", "ema") if f"{kind}_map" in row]


def is_finished(config: Config, rows: Sequence[EpochRow]) -> bool:
    """Whether all epochs are done, or the run has stopped early."""
    return len(rows) >= config.epochs or stopped_early(config, rows)


def stopped_early(config: Config, rows: Sequence[EpochRow]) -> bool:
    """Whether a run ends before its last epoch because the monitored score has not improved.

    An improvement is an increase over the best score so far by more than ``min_delta``; the
    run ends after ``patience`` epochs without one. With averaged weights an epoch counts by
    the better of its two scores. Of several phases only the last one is ended: each begins to
    wait anew, since its first epochs are often worse.
    """
    begins = [phase.first for phase in config.phases]
    patience = config.early_stopping.patience
    best, waited = -math.inf, 0
    for epoch, row in enumerate(rows):
        waited = 0 if epoch in begins else waited
        score = max(_score_to_maximize(row, config.monitor, kind) for kind in weight_kinds(row))
        if score > best + config.early_stopping.min_delta:
            best, waited = score, 0
        else:
            waited += 1
    is_over = patience is not None and waited >= patience and len(rows) > begins[-1]
    return is_over and len(rows) < config.epochs


def epoch_lines(row: EpochRow, epochs: int) -> list[str]:
    """The lines of an epoch in the table below EPOCH_HEADER.

    Averaged weights and the test split have lines of their own below the plain weights.
    """
    number = f"{row['epoch']}/{epochs}"
    lines = [
        f"{number:>7}{row['train_loss']:>12.4f}{_score_columns(row, 'val')}"
        f"{row['images_per_second']:>10.1f}{row['learning_rate']:>15.3g}"
    ]
    for kind, name in (("ema", "averaged"), ("test", "test")):
        if f"{kind}_map" in row:
            lines.append(f"{name:>19}{_score_columns(row, kind)}")
    return lines


def just_collapsed(rows: Sequence[EpochRow], epochs: int, images: int = FEW_IMAGES) -> bool:
    """Whether the network has begun to predict one class alone, so that the user is informed once.

    True for the first of consecutive epochs in which all validation images get the same
    class. The first epoch of several does not count: networks often begin that way. ``images``
    is the number of validation images of the task with the fewest. With fewer than FEW_IMAGES,
    it is the third of consecutive epochs: a few images often get the same class by chance. With
    fewer than FEWEST_IMAGES nothing can be told.
    """
    if images < FEWEST_IMAGES:
        return False
    collapsed = [row[f"val_{PREDICTED_CLASSES}"] == 1 for row in rows]
    if images < FEW_IMAGES:
        return all(collapsed[-3:]) and len(rows) >= 3 and not any(collapsed[-4:-3])
    if len(rows) == 1:
        return collapsed[0] and epochs == 1
    return collapsed[-1] and (len(rows) == 2 or not collapsed[-2])


def write_history(
    run: RunFolder,
    config: Config,
    tasks: list[Task],
    rows: list[EpochRow],
    data_hash: str,
    test: Optional[dict[str, float]] = None,
    beginning: Optional[Mapping[str, str]] = None,
) -> None:
    """Write history.csv and metrics.json from the rows of all epochs so far.

    ``data_hash`` identifies the data that the run is trained on. ``beginning`` has what is known
    of the weights that it began with, by the keys of BEGINNING. ``test`` holds the scores of the
    best weights on the test split, if they are known.
    """
    write_rows(run.history_file, [list(rows[0]), *(row.values() for row in rows)])
    metrics = {**_metrics(run, config, tasks, rows), "data_hash": data_hash, **(beginning or {})}
    write_json(run.metrics_file, {**metrics, "test": test} if test else metrics)


def read_rows(run: RunFolder) -> list[EpochRow]:
    """The rows of a run's history.csv.

    Raises RunError for a damaged file and for one without an epoch, OSError for one that cannot be
    read.
    """
    try:
        with open(run.history_file, encoding="utf-8", newline="") as handle:
            rows = list(csv.DictReader(handle))
        names = ("epoch", *rows[0])
        return [{name: float(row[name]) for name in names} for row in rows]
    except (ValueError, TypeError, LookupError, csv.Error):
        raise RunError(f"{run.history_file}: expected a number per column and epoch") from None


def _metrics(
    run: RunFolder, config: Config, tasks: list[Task], rows: list[EpochRow]
) -> dict[str, Any]:
    best_by_kind = {kind: find_best(rows, config.monitor, kind) for kind in weight_kinds(rows[0])}
    chosen = choose_best(rows, config.monitor)
    files = {kind: best_file(run, kind).name for kind in best_by_kind}
    return {
        "finished": is_finished(config, rows),
        "stopped_early": stopped_early(config, rows),
        "epochs": len(rows),
        "monitor": config.monitor,
        "weights": files[chosen.kind],
        "best_epoch": chosen.row["epoch"],
        "best": _scores_of(chosen),
        "tasks": {
            task.name: _scores_of(chosen, f"{task.short_name}." if len(tasks) > 1 else "")
            for task in tasks
        },
        "by_weights": {
            files[kind]: {"best_epoch": best.row["epoch"], **_scores_of(best)}
            for kind, best in best_by_kind.items()
        },
        "seconds": sum(row["seconds"] for row in rows),
        WEIGHTS_HASHES: {
            name: _hash_to_record(run, name)
            for name in files.values()
            if (run.path / name).is_file()
        },
    }


def announce_weights(run: RunFolder, name: str, file: Path) -> None:
    """Record the hash of weights in ``file`` that are about to become the run's ``name``.

    After a kill before the next write_history, metrics.json then knows the hash of whichever
    weights are there. Before the first epoch has ended there is no metrics.json.
    """
    metrics = _written_metrics(run)
    if metrics:
        coming = {**metrics.get(COMING_HASHES, {}), name: file_hash(file)}
        write_json(run.metrics_file, {**metrics, COMING_HASHES: coming})


def _hash_to_record(run: RunFolder, name: str) -> str:
    """The hash of a file of best weights, or the recorded one when the file has another.

    A file that was damaged since it was written is then found where it is opened.
    """
    found, recorded = file_hash(run.path / name), recorded_hashes(_written_metrics(run), name)
    return found if not recorded or found in recorded else recorded[0]


def _written_metrics(run: RunFolder) -> dict[str, Any]:
    """The content of metrics.json; empty where it is damaged, because it is written anew."""
    try:
        return read_metrics(run)
    except RunError:
        return {}


def _scores_of(best: BestEpoch, task: str = "") -> dict[str, float]:
    return {name: best.row[f"{best.kind}_{task}{name}"] for name in SCORE_NAMES}


def _score_columns(row: EpochRow, kind: str) -> str:
    loss, accuracy, ap = (row[f"{kind}_{name}"] for name in ("log_loss", "accuracy", "map"))
    return f"{loss:>17.4f}{accuracy:>10.4f}{ap:>8.4f}"


def rank(row: EpochRow, monitor: str, kind: str) -> tuple[float, float]:
    """The key by which epochs are ranked, the best one largest: monitored score, then loss."""
    return _score_to_maximize(row, monitor, kind), _score_to_maximize(row, "log_loss", kind)


def _score_to_maximize(row: EpochRow, monitor: str, kind: str) -> float:
    """The monitored score, negated where lower is better; -inf for NaN.

    With ``last`` it is the number of the epoch.
    """
    if monitor == LAST:
        return row["epoch"]
    score = row[f"{kind}_{monitor}"]
    if math.isnan(score):
        return -math.inf
    return -score if monitor.rpartition(".")[2] in LOWER_IS_BETTER else score
