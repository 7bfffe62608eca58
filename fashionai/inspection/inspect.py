"""inspect: the findings in a prepared task."""

from __future__ import annotations

from fashionai.inspection.confident_learning import find_suspects
from fashionai.inspection.findings import IDENTICAL, LABEL, NEAR_DUPLICATE, Finding
from fashionai.inspection.images import TaskImages, compare_images
from fashionai.metrics import MAYBE, true_classes
from fashionai.progress import ProgressBar
from fashionai.scoring.rows.labelled_predictions import LabelledPredictions


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
