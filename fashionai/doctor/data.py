"""Checks of the prepared images of a configuration, and of their labels."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple, Optional

import cv2
import numpy as np

from fashionai.config import Config
from fashionai.datasets.prepared.check import on_all_cores
from fashionai.datasets.prepared.folders import prepare_command
from fashionai.datasets.prepared.samples import Samples, read_samples
from fashionai.doctor.findings import ERROR, OK, WARNING, Finding, of_error
from fashionai.errors import DataError, FashionAIError, counted, list_names
from fashionai.fold_plan import FoldSettings
from fashionai.metrics import advice_on_validation, true_classes
from fashionai.pipeline.crops import resize_short
from fashionai.pipeline.decode import read_image
from fashionai.predictions.soundness import find_bad
from fashionai.progress import no_progress

# Of more images, so many are decoded, evenly spread.
MOST_DECODED = 2_000
# The images of the check of labels, and the side in pixels of their thumbnails.
MOST_LABELLED, THUMBNAIL = 800, 16
FEWEST_PER_CLASS = 5
# Labels that are drawn at random for comparison, and the shares of the images that validate.
PERMUTATIONS, PARTS = 200, 5
# How often random labels may do as well as the real ones by chance.
LARGEST_P = 0.02


class Splits(NamedTuple):
    """The training and validation samples of a configuration."""

    train: Samples
    val: Samples


def check_prepared(config: Config) -> tuple[Finding, Optional[Splits]]:
    """Whether the folders hold what their manifests say; the samples if they do."""
    try:
        splits = Splits(read_samples(config, "train", pseudo=True), read_samples(config, "val"))
    except FashionAIError as error:
        return of_error("data", error), None
    counts = [counted(len(splits.train.paths), "training image")]
    counts.append(counted(len(splits.val.paths), "validation image"))
    return Finding("data", OK, f"{config.data.folder}: {', '.join(counts)}"), splits


def check_images(splits: Splits) -> Finding:
    """Whether images can be decoded; of many, a sample."""
    paths = [*splits.train.paths, *splits.val.paths]
    chosen = [paths[at] for at in _spread(len(paths), MOST_DECODED)]
    damaged = find_bad([(str(path), path) for path in chosen], no_progress)
    if damaged:
        path, damage = next(iter(damaged.items()))
        more = f" (and {len(damaged) - 1:,} more)" if len(damaged) > 1 else ""
        task_folder = Path(path).parents[2]  # above the split and the class
        return Finding("images", ERROR, f"{path}: {damage}{more}", prepare_command(task_folder))
    return Finding("images", OK, f"{counted(len(chosen), 'image')} decoded, none damaged")


def check_validation(splits: Splits, config_name: str) -> Iterator[Finding]:
    """Whether there are enough validation images, of every class."""
    for head, task in enumerate(splits.val.tasks):
        marks = splits.val.marks_of(head)
        advice = advice_on_validation(len(marks)) if len(marks) else "no validation images"
        counts = np.bincount(true_classes(marks), minlength=len(task.classes))
        missing = [name for name, count in zip(task.classes, counts) if not count]
        mend = f"fashionai cross-validate --config {config_name}"
        if missing:
            advice = f"no validation images of {list_names(missing)}"
            known = true_classes(splits.train.marks_of(head)).tolist()
            in_training = {name: known.count(task.classes.index(name)) for name in missing}
            empty = [name for name, count in in_training.items() if not count]
            if empty:
                advice += f", and no training images of {list_names(empty)}"
            # Some fold would have no image of them to train on, or to validate.
            few = [name for name, count in in_training.items() if count < FoldSettings().folds]
            if few:
                leave_out = f"leave {'the class' if len(few) == 1 else 'these classes'} out"
                mend = f"Add images of {list_names(few)}, or {leave_out}, and prepare again"
        if advice:
            yield Finding("validation", WARNING, f"{task.name}: {advice}", mend)
        else:
            found = f"{task.name}: {counted(len(marks), 'image')} of all classes"
            yield Finding("validation", OK, found)


def check_labels(splits: Splits, mend: str) -> Iterator[Finding]:
    """Whether labels have to do with the images, task by task.

    A linear classifier is fitted to thumbnails and validated on others, with the labels and with
    permutations of them. Labels that were mixed up do no better than permutations. Correct labels
    may do no better either, if thumbnails are too small to show the differences; so this is only
    a warning.
    """
    for head, task in enumerate(splits.train.tasks):
        chosen = _spread(len(splits.train.of_task(head)), MOST_LABELLED)
        rows = splits.train.of_task(head)[chosen]
        classes = true_classes(splits.train.marks_of(head))[chosen]
        if np.bincount(classes, minlength=len(task.classes)).max() < FEWEST_PER_CLASS:
            yield Finding("labels", OK, f"{task.name}: too few images to compare labels with")
            continue
        try:
            thumbnails = _thumbnails([splits.train.paths[row] for row in rows])
        except DataError:
            continue  # check_images tells it
        accuracy, by_chance, p = compare_with_chance(thumbnails, classes)
        found = (
            f"{task.name}: a linear classifier of thumbnails is right for {accuracy:.0%} of the "
            f"images, with permuted labels for {by_chance:.0%}"
        )
        if p > LARGEST_P:
            reason = f"{found}: labels may not belong to their images"
            yield Finding("labels", WARNING, reason, mend)
        else:
            yield Finding("labels", OK, found)


def compare_with_chance(features: np.ndarray, classes: np.ndarray) -> tuple[float, float, float]:
    """Accuracy with labels ``(N,)``, its mean with permuted labels, and the share of these above.

    The classifier is ridge regression on features ``(N, D)`` (Hoerl and Kennard 1970), validated on
    parts of the images. Its predictions are linear in the labels: permutations share one matrix.
    """
    rng = np.random.default_rng(0)
    parts = rng.permutation(np.arange(len(classes)) % PARTS)
    centred = features - features.mean(axis=0)
    kernel = centred @ centred.T
    kernel /= max(float(np.trace(kernel)) / len(kernel), 1e-12)
    hat = np.zeros_like(kernel)
    for part in range(PARTS):
        held_out = parts == part
        inner = kernel[np.ix_(~held_out, ~held_out)] + np.eye((~held_out).sum())
        solved = np.linalg.solve(inner, kernel[np.ix_(~held_out, held_out)])
        hat[np.ix_(held_out, ~held_out)] = solved.T
    one_hot = np.eye(classes.max() + 1)

    def accuracy(labels: np.ndarray) -> float:
        targets = one_hot[labels]
        # Centred by the other parts' means, so that the most frequent class is no advantage.
        return float(((hat @ (targets - targets.mean(axis=0))).argmax(axis=1) == labels).mean())

    permuted = [accuracy(rng.permutation(classes)) for _ in range(PERMUTATIONS)]
    own = accuracy(classes)
    share = (1 + sum(each >= own for each in permuted)) / (1 + PERMUTATIONS)
    return own, float(np.mean(permuted)), share


def _thumbnails(paths: list[Path]) -> np.ndarray:
    """Small versions of the images, ``(N, D) float64``, their middle squares as colours."""
    return np.array(on_all_cores(_thumbnail, paths, no_progress))


def _thumbnail(path: Path) -> np.ndarray:
    image = resize_short(read_image(path, THUMBNAIL), THUMBNAIL)
    top, left = ((side - THUMBNAIL) // 2 for side in image.shape[:2])
    square = image[top : top + THUMBNAIL, left : left + THUMBNAIL]
    pixels: np.ndarray = cv2.cvtColor(square, cv2.COLOR_BGR2LAB).reshape(-1) / 255.0
    return pixels


def _spread(count: int, most: int) -> np.ndarray:
    """Up to ``most`` of so many positions, evenly spread."""
    return np.unique(np.linspace(0, count - 1, min(count, most)).round().astype(np.int64))
