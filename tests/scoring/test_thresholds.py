"""Answers at a threshold, their figures, and the choice of a threshold."""

from __future__ import annotations

import numpy as np
import pytest

from fashionai.errors import FashionAIError
from fashionai.families import CACTUS, LOGOS
from fashionai.metrics import YES
from fashionai.predictions.decisions import predicted_labels
from fashionai.scoring.evaluate import evaluate_task, true_labels
from fashionai.scoring.thresholds import choose_threshold
from fashionai.tasks import Task
from tests.support.references import official_figures

BRANDS = Task("logos", (), ("adidas", "aldi", "HP"), "flickrlogos", "no-logo")
WITH_NO_LOGO = Task("logos", (), ("adidas", "aldi", "HP", "no-logo"), "flickrlogos", "no-logo")
PETS = Task("pets", (), ("cat", "dog"), "table")


def drawn(
    task: Task, rows: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Random probabilities, marks and true labels, better than chance, on a coarse grid."""
    labels = len(task.labels)
    truth = rng.integers(0, labels, rows)
    marks = np.zeros((rows, labels), np.int8)
    marks[np.arange(rows), truth] = YES
    logits = rng.normal(size=(rows, len(task.classes))) + 2 * marks[:, : len(task.classes)]
    probabilities = np.exp(logits)
    probabilities /= probabilities.sum(axis=1, keepdims=True)
    return (
        probabilities.round(2),
        marks[:, : len(task.classes)],
        [task.labels[index] for index in truth],
    )


@pytest.mark.parametrize("threshold", [0.3, 0.5, 0.62, 0.9])
def test_the_figures_of_a_threshold_are_the_official_ones(threshold: float) -> None:
    probabilities, marks, truth = drawn(BRANDS, 400, np.random.default_rng(3))
    answers = [
        BRANDS.classes[int(np.argmax(row))] if max(row) >= threshold else "no-logo"
        for row in probabilities
    ]
    figures = evaluate_task(BRANDS, probabilities, marks, threshold).figures
    assert figures is not None
    assert figures.threshold == threshold
    assert figures[1:] == pytest.approx(official_figures(answers, truth))


def test_a_class_for_no_logo_has_the_figures_without_a_threshold() -> None:
    probabilities, marks, truth = drawn(WITH_NO_LOGO, 400, np.random.default_rng(4))
    answers = [WITH_NO_LOGO.classes[int(np.argmax(row))] for row in probabilities]
    figures = evaluate_task(WITH_NO_LOGO, probabilities, marks).figures
    assert figures is not None
    assert figures[1:] == pytest.approx(official_figures(answers, truth))


def test_without_its_images_a_background_counts_for_nothing() -> None:
    """Then scores are those of the brands alone, as without such images."""
    probabilities, marks, truth = drawn(BRANDS, 200, np.random.default_rng(5))
    brands = np.array([label != "no-logo" for label in truth])
    alone = evaluate_task(BRANDS, probabilities[brands], marks[brands])
    beside = evaluate_task(BRANDS, probabilities, marks)
    assert beside.scores == alone.scores
    assert beside.rows == brands.sum()
    assert beside.figures is None
    with_threshold = evaluate_task(BRANDS, probabilities, marks, 0.5)
    assert with_threshold.scores == alone.scores
    assert with_threshold.rows == 200


@pytest.mark.parametrize("task", [BRANDS, PETS])
@pytest.mark.parametrize("seed", range(20))
def test_no_threshold_is_better_than_the_chosen_one(task: Task, seed: int) -> None:
    """Tried against every value that could make a difference, on probabilities with many ties."""
    probabilities, marks, _ = drawn(task, 60, np.random.default_rng(seed))
    if task is PETS:
        probabilities[:, 1] = 1 - probabilities[:, 0]
    truth = true_labels(task, marks)

    def accuracy(threshold: float) -> float:
        return float((predicted_labels(task, probabilities, threshold) == truth).mean())

    chosen = choose_threshold(task, probabilities, truth)
    assert 0 <= chosen <= 1
    candidates = np.arange(0.005, 1, 0.01)
    assert accuracy(chosen) >= max(map(accuracy, candidates)) - 1e-12


def test_a_chosen_threshold_is_short() -> None:
    """Between .4 and .9 anything is as good: the middle, as few digits as it takes."""
    probabilities = np.array([[0.9, 0.05, 0.05], [0.2, 0.4, 0.4], [0.06, 0.91, 0.03]])
    assert choose_threshold(BRANDS, probabilities, np.array([0, 3, 1])) == 0.7
    close = np.array([[0.70001, 0.29999, 0], [0.70005, 0.29995, 0]])
    assert choose_threshold(BRANDS, close, np.array([3, 0])) == 0.70003


@pytest.mark.parametrize(("truth", "found"), [([0, 1], "no"), ([3, 3], "only")])
def test_one_kind_of_image_chooses_no_threshold(truth: list[int], found: str) -> None:
    probabilities = np.array([[0.8, 0.1, 0.1], [0.3, 0.4, 0.3]])
    with pytest.raises(FashionAIError, match=f"validation has {found} images of no-logo"):
        choose_threshold(BRANDS, probabilities, np.array(truth))


def test_a_threshold_is_for_two_classes_or_a_background() -> None:
    half = np.array([[0.5, 0.5]])
    assert predicted_labels(CACTUS, half, 0.5).tolist() == [0]
    assert predicted_labels(CACTUS, half, 0.49).tolist() == [1]
    with pytest.raises(FashionAIError, match="logos learns 33 classes"):
        predicted_labels(LOGOS, np.full((1, 33), 1 / 33), 0.5)
