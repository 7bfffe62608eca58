"""inspect: the findings in a prepared task."""

from __future__ import annotations

import numpy as np

from fashionai.inspection.confident_learning import find_suspects
from fashionai.inspection.findings import IDENTICAL, LABEL, NEAR_DUPLICATE, Finding
from fashionai.inspection.images import TaskImages, compare_images
from fashionai.metrics import MAYBE, balanced_accuracy, confusion_matrix, true_classes
from fashionai.progress import ProgressBar
from fashionai.scoring.rows.labelled_predictions import LabelledPredictions

# Chance alone exceeds its mean by so many standard errors in 2 % of cases.
STANDARD_ERRORS = 2
ROUNDING = 1e-9


def inspect_labels(images: TaskImages, held_out: LabelledPredictions) -> list[Finding]:
    """The labels that are probably wrong, the least credible first.

    A suggested class that the annotators have marked as acceptable is no finding.
    """
    labels, probabilities = true_classes(held_out.marks), held_out.probabilities
    suspects = find_suspects(labels, probabilities)
    suggested = probabilities.argmax(axis=1)
    suspects = suspects[held_out.marks[suspects, suggested[suspects]] != MAYBE]
    position_of = {path: position for position, path in enumerate(images.paths)}
    findings = []
    for row in suspects.tolist():
        at = position_of[held_out.files[row]]
        findings.append(
            Finding(
                LABEL,
                images.sources[at],
                images.splits[at],
                images.labels[at],
                suggested=images.task.classes[suggested[row]],
                label_probability=f"{probabilities[row, labels[row]]:.4f}",
                suggested_probability=f"{probabilities[row, suggested[row]]:.4f}",
            )
        )
    return findings


def are_informative(held_out: LabelledPredictions) -> bool:
    """Whether predictions tell classes apart: suspects by others say nothing about the labels.

    Predictions that do not depend on the images have an expected recall per class of the share of
    images that are predicted as this class, so that the mean recall is known, and its standard
    error. The same class for all images has exactly this mean. Unlike accuracy, the mean recall of
    imbalanced classes is high only for predictions that know all of them.
    """
    confusion = confusion_matrix(held_out.probabilities, held_out.marks)
    rows = confusion.sum(axis=1)
    present = rows > 0
    shares = confusion.sum(axis=0)[present] / len(held_out.marks)
    error = np.sqrt((shares * (1 - shares) / rows[present]).sum()) / present.sum()
    by_chance = shares.mean() + STANDARD_ERRORS * error
    return balanced_accuracy(held_out.probabilities, held_out.marks) > by_chance + ROUNDING


def inspect_images(images: TaskImages, progress: ProgressBar) -> list[Finding]:
    """The pairs of images that look alike: first those with different labels, then leaks.

    Of each kind the most similar ones come first.
    """
    pairs, contents = compare_images(images, progress)
    findings = []
    for one, other, similarity in zip(
        pairs.first.tolist(), pairs.second.tolist(), pairs.similarity.tolist()
    ):
        findings.append(
            Finding(
                IDENTICAL if contents[one] == contents[other] else NEAR_DUPLICATE,
                images.sources[one],
                images.splits[one],
                images.labels[one],
                other_path=images.sources[other],
                other_split=images.splits[other],
                other_label=images.labels[other],
                similarity=f"{similarity:.4f}",
            )
        )
    findings.sort(
        key=lambda each: (not each.across_labels, not each.across_splits, -float(each.similarity))
    )
    return findings
