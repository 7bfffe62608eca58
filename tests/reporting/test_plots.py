"""Plots hold the numbers of the files they draw, and everything on them can be read."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.text import Text

from fashionai.reporting.plots import draw_folds, draw_history, draw_range_test
from fashionai.runs import RunFolder

SCORES = ("map", "basic_precision", "accuracy", "mrr", "log_loss")


@pytest.fixture
def figures(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Figure]]:
    """Every figure that is saved, for a look at what is on it."""
    saved: list[Figure] = []
    save = Figure.savefig

    def note_and_save(figure: Figure, *arguments: object, **options: object) -> None:
        saved.append(figure)
        save(figure, *arguments, **options)

    monkeypatch.setattr(Figure, "savefig", note_and_save)
    return saved


def write_run(path: Path, epochs: int, seed: int = 0, *more: str) -> RunFolder:
    """A run with a history of random numbers; ``more`` are further columns."""
    run = RunFolder(path)
    path.mkdir(parents=True)
    names = ["epoch", "train_loss", "train_accuracy", *(f"val_{name}" for name in SCORES), *more]
    numbers = np.random.default_rng(seed).random((epochs, len(names)))
    numbers[:, 0] = np.arange(1, epochs + 1)
    with open(run.history_file, "w", newline="") as handle:
        csv.writer(handle).writerows([names, *numbers.tolist()])
    return run


def history(run: RunFolder) -> dict[str, np.ndarray]:
    with open(run.history_file, newline="") as handle:
        rows = list(csv.DictReader(handle))
    return {name: np.array([float(row[name]) for row in rows]) for name in rows[0]}


def lines_of(axes: Axes) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Abscissas and ordinates of every line by its label."""
    return {line.get_label(): tuple(map(np.asarray, line.get_data())) for line in axes.lines}


def assert_png(path: Path, figure: Figure) -> None:
    """A PNG of the figure's size that is not empty, with all text within it."""
    image = cv2.imread(str(path))
    width, height = figure.get_size_inches() * 120
    assert image.shape == (round(height), round(width), 3)
    assert len(np.unique(image)) > 10
    assert not list(path.parent.glob(".*.tmp"))
    figure.draw_without_rendering()  # at its own resolution
    inside = figure.bbox.padded(1)
    for text in texts_of(figure):
        box = text.get_window_extent()
        assert inside.contains(*box.min), text
        assert inside.contains(*box.max), text


def texts_of(figure: Figure) -> Iterator[Text]:
    """Titles, axis labels and legends."""
    yield from figure.texts
    for axes in figure.axes:
        yield from (axes.xaxis.label, axes.yaxis.label)
        if axes.get_legend():
            yield from axes.get_legend().get_texts()


def test_the_curves_of_a_run_are_those_of_its_history(
    tmp_path: Path, figures: list[Figure]
) -> None:
    run = write_run(tmp_path / "skirt", 12, 1, "ema_map", "ema_log_loss")
    assert draw_history(run) == run.path / "curves.png"
    (figure,) = figures
    assert_png(run.path / "curves.png", figure)
    losses, scores = figure.axes
    drawn, expected = {**lines_of(losses), **lines_of(scores)}, history(run)
    assert {label: name for label, name in LABELS.items() if label in lines_of(losses)} == {
        label: name for label, name in LABELS.items() if name.endswith("loss")
    }
    assert drawn.keys() == LABELS.keys()
    for label, name in LABELS.items():
        assert np.array_equal(drawn[label][0], np.arange(1, 13))
        assert np.array_equal(drawn[label][1], expected[name])
    assert (losses.get_ylabel(), scores.get_ylabel()) == ("loss", "score")
    assert figure.get_suptitle().endswith("skirt")


LABELS = {
    "training": "train_loss",
    "validation": "val_log_loss",
    "validation, averaged weights": "ema_log_loss",
    "training accuracy": "train_accuracy",
    "validation accuracy": "val_accuracy",
    "validation mAP": "val_map",
    "validation mAP, averaged weights": "ema_map",
}


def test_without_averaged_weights_there_are_no_curves_of_them(
    tmp_path: Path, figures: list[Figure]
) -> None:
    draw_history(write_run(tmp_path / "skirt", 3))
    labels = [label for axes in figures[0].axes for label in lines_of(axes)]
    assert labels == [label for label in LABELS if "averaged" not in label]


@pytest.mark.parametrize("epochs", [1, 2, 400])
def test_epochs_are_whole_numbers_and_a_single_one_is_seen(
    tmp_path: Path, figures: list[Figure], epochs: int
) -> None:
    run = write_run(tmp_path / "fold-1", epochs)
    draw_history(run)
    draw_folds([run, run], tmp_path / "curves.png", "map")
    for figure in figures:
        for axes in figure.axes:
            low, high = axes.get_xlim()
            ticks = [tick for tick in axes.get_xticks() if low <= tick <= high]
            assert ticks
            assert all(tick == round(tick) for tick in ticks)
            assert all((line.get_marker() == "o") == (epochs == 1) for line in axes.lines)


@pytest.mark.parametrize(
    "name", ["a long name of a run " * 12, "costs $5 and $x_{2$", "ünïcode", "LONG NAME " * 12]
)
def test_titles_stay_inside_and_are_no_formulas(
    tmp_path: Path, figures: list[Figure], name: str
) -> None:
    run = write_run(tmp_path / name.strip(), 3)
    draw_history(run)
    assert_png(run.path / "curves.png", figures[0])
    title = figures[0].get_suptitle().replace("\\$", "$")
    assert title.endswith(name.strip()[-60:])
    assert len(title) <= 83


def test_folds_that_stop_early_and_their_mean(tmp_path: Path, figures: list[Figure]) -> None:
    epochs = (7, 5, 9)
    runs = [write_run(tmp_path / f"fold-{n}", count, n) for n, count in enumerate(epochs, 1)]
    draw_folds(runs, tmp_path / "curves.png", "accuracy")
    (figure,) = figures
    assert_png(tmp_path / "curves.png", figure)
    for axes, name in zip(figure.axes, ("val_log_loss", "val_accuracy")):
        drawn = lines_of(axes)
        assert list(drawn) == ["fold-1", "fold-2", "fold-3", "mean"]
        values = [history(run)[name] for run in runs]
        for number, (count, expected) in enumerate(zip(epochs, values), 1):
            assert np.array_equal(drawn[f"fold-{number}"][0], np.arange(1, count + 1))
            assert np.array_equal(drawn[f"fold-{number}"][1], expected)
        means = [sum(each[epoch] for each in values) / 3 for epoch in range(5)]
        assert drawn["mean"][0].tolist() == [1, 2, 3, 4, 5]
        np.testing.assert_allclose(drawn["mean"][1], means, rtol=1e-12)
    labels = [axes.get_ylabel() for axes in figure.axes]
    assert labels == ["validation log loss", "validation accuracy"]


@pytest.mark.parametrize(
    ("monitor", "label"),
    [("log_loss", "validation mAP"), ("skirt.map", "validation skirt mAP")],
)
def test_the_second_plot_of_folds_is_a_score(
    tmp_path: Path, figures: list[Figure], monitor: str, label: str
) -> None:
    runs = [write_run(tmp_path / f"fold-{n}", 4, n, "val_skirt.map") for n in (1, 2)]
    draw_folds(runs, tmp_path / "curves.png", monitor)
    assert figures[0].axes[0].get_ylabel() == "validation log loss"
    assert figures[0].axes[1].get_ylabel() == label
    name = "val_map" if monitor == "log_loss" else "val_skirt.map"
    assert np.array_equal(lines_of(figures[0].axes[1])["fold-2"][1], history(runs[1])[name])


@pytest.mark.parametrize("count", [2, 10, 20])
def test_the_legend_of_many_folds_hides_no_curve(
    tmp_path: Path, figures: list[Figure], count: int
) -> None:
    runs = [write_run(tmp_path / f"fold-{n}", 6, n) for n in range(1, count + 1)]
    draw_folds(runs, tmp_path / "curves.png", "map")
    (figure,) = figures
    assert_png(tmp_path / "curves.png", figure)
    (legend,) = [axes.get_legend() for axes in figure.axes if axes.get_legend()]
    figure.draw_without_rendering()
    box = legend.get_window_extent()
    assert not any(axes.bbox.overlaps(box) for axes in figure.axes)
    assert len(legend.get_texts()) == count + 1
    for axes in figure.axes:
        assert axes.bbox.width > 0.25 * figure.bbox.width
        colors = {tuple(np.round(line.get_color(), 3)) for line in axes.lines[:-1]}
        assert len(colors) == count


@pytest.mark.parametrize("suggestion", [None, 0.01])
def test_the_range_test_shows_what_comes_before_the_explosion(
    tmp_path: Path, figures: list[Figure], suggestion: float | None
) -> None:
    rates = np.geomspace(1e-6, 10, 50)
    losses = np.concatenate([np.full(20, 2.0), np.linspace(2, 0.5, 20), np.geomspace(1, 1e6, 10)])
    draw_range_test(tmp_path / "lr_finder.png", rates, losses, losses * 1.01, suggestion)
    (figure,) = figures
    assert_png(tmp_path / "lr_finder.png", figure)
    (axes,) = figure.axes
    drawn = lines_of(axes)
    assert axes.get_xscale() == "log"
    assert np.array_equal(drawn["loss per batch"][0], rates)
    assert np.array_equal(drawn["loss per batch"][1], losses)
    assert np.array_equal(drawn["smoothed"][1], losses * 1.01)
    low, high = axes.get_ylim()
    assert low < 0.5 < 2.02 < high < 6
    marked = [x[0] for label, (x, _) in drawn.items() if label.startswith("steepest")]
    assert marked == ([] if suggestion is None else [0.01])


@pytest.mark.parametrize("steps", [1, 2])
def test_a_range_test_of_hardly_any_steps_is_drawn(
    tmp_path: Path, figures: list[Figure], steps: int
) -> None:
    losses = np.array([1.9, 1e9])[:steps]
    draw_range_test(tmp_path / "lr_finder.png", np.array([1e8, 2e8])[:steps], losses, losses, None)
    assert_png(tmp_path / "lr_finder.png", figures[0])
