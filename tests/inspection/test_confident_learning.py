"""Confident learning, held against loops that follow the paper (arXiv:1911.00068)."""

from __future__ import annotations

import numpy as np
import pytest

from fashionai.inspection.confident_learning import (
    confident_joint,
    estimate_joint,
    find_suspects,
)


def noisy_rows(rows: int, classes: int, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Labels, probabilities and which labels are wrong; the last class has no rows."""
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, classes - 1, rows)
    probabilities = rng.dirichlet(np.full(classes, 0.5), rows)
    probabilities[np.arange(rows), truth] += rng.exponential(1.0, rows)
    probabilities /= probabilities.sum(axis=1, keepdims=True)
    wrong = rng.random(rows) < 0.1
    others = (truth + rng.integers(1, classes - 1, rows)) % (classes - 1)
    return np.where(wrong, others, truth), probabilities, wrong


def naive_joint(labels: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    """Equation 1: the counts of the confident joint."""
    classes = probabilities.shape[1]
    thresholds = {}
    for j in range(classes):
        own = [p[j] for label, p in zip(labels, probabilities) if label == j]
        if own:
            thresholds[j] = sum(own) / len(own)
    counts = np.zeros((classes, classes), int)
    for label, p in zip(labels, probabilities):
        confident = [j for j, threshold in thresholds.items() if p[j] >= threshold]
        if confident:
            counts[label, max(confident, key=lambda j: p[j])] += 1
    return counts


def naive_suspects(labels: np.ndarray, probabilities: np.ndarray) -> list[int]:
    """Equation 3, then pruning by noise rate."""
    classes, n = probabilities.shape[1], len(labels)
    counts = naive_joint(labels, probabilities).astype(float)
    joint = np.zeros((classes, classes))
    for i in range(classes):
        rows = sum(label == i for label in labels)
        if counts[i].sum() == 0:
            counts[i, i] = 1
        for j in range(classes):
            joint[i, j] = counts[i, j] / counts[i].sum() * rows / n
    chosen = set()
    for i in range(classes):
        for j in range(classes):
            if i != j:
                own = [x for x in range(n) if labels[x] == i]
                own.sort(key=lambda x: probabilities[x, i] - probabilities[x, j])
                chosen.update(own[: round(n * joint[i, j])])
    chosen = {x for x in chosen if probabilities[x].argmax() != labels[x]}
    return sorted(chosen, key=lambda x: probabilities[x, labels[x]])


@pytest.mark.parametrize("seed", range(4))
def test_suspects_are_those_of_the_paper(seed: int) -> None:
    labels, probabilities, _ = noisy_rows(300, 5, seed)
    assert confident_joint(labels, probabilities).tolist() == (
        naive_joint(labels, probabilities).tolist()
    )
    joint = estimate_joint(labels, probabilities)
    assert joint.sum() == pytest.approx(1)
    assert joint.sum(axis=1) == pytest.approx(np.bincount(labels, minlength=5) / 300)
    assert find_suspects(labels, probabilities).tolist() == naive_suspects(labels, probabilities)


def test_wrong_labels_come_first() -> None:
    labels, probabilities, wrong = noisy_rows(2000, 4, 0)
    suspects = find_suspects(labels, probabilities)
    first = wrong[suspects[: wrong.sum()]]
    assert first.mean() > 0.6 > 3 * wrong.mean()


def test_a_class_without_confident_rows_and_certain_predictions_are_no_suspects() -> None:
    labels = np.array([0, 0, 1, 1])
    certain = np.eye(3)[labels]
    assert find_suspects(labels, certain).tolist() == []
    undecided = np.full((4, 3), 1 / 3)
    assert find_suspects(labels, undecided).tolist() == [
        row for row in find_suspects(labels, undecided) if labels[row] != 0
    ]
