"""The model card of a bundle: what the model was trained on, how good it is, and its limits."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Optional

import numpy as np

import fashionai
from fashionai.config import LAST
from fashionai.datasets.names import PSEUDO_LABELS, SPLITS
from fashionai.datasets.prepared.samples import Samples, data_has_changed, read_samples
from fashionai.errors import DataError, counted
from fashionai.files.formats.json_files import read_json
from fashionai.metrics import FEW_VALIDATION_IMAGES, true_classes
from fashionai.predictions.scaling import Calibration
from fashionai.runs import GREEDY, Run
from fashionai.scoring.evaluate import TaskEvaluation
from fashionai.tasks import Task
from fashionai.weights.licences import NON_COMMERCIAL, origin_of, shown_licence

SCORES = {
    "map": "mAP",
    "accuracy": "accuracy",
    "basic_precision": "basic precision",
    "mrr": "MRR",
    "log_loss": "log loss",
}
CHANGED = (
    "- The prepared folder has changed since the training: the images below are those that it has "
    "now. Some of val and test may have been trained on, which makes the scores too high."
)
# What Markdown would not show as it is; & and _ are text unless they begin or end something.
MARKUP = re.compile(r"[\\|<*`\[\]~]|&(?=[#\w])|(?<![^\W_])_|_(?![^\W_])")


def samples_by_split(run: Run) -> dict[str, Samples]:
    """The samples of each split that the run's data have; train has pseudo-labels as well."""
    found = {split: read_samples(run.config, split, pseudo=True) for split in SPLITS[:2]}
    with contextlib.suppress(DataError):  # there is no such split
        found["test"] = read_samples(run.config, "test")
    return found


def model_card(
    run: Run,
    samples: Mapping[str, Samples],
    evaluations: Mapping[str, Sequence[TaskEvaluation]],
    stored: int,
    calibration: Optional[Calibration],
) -> str:
    """The card as Markdown.

    ``samples`` and ``evaluations`` are by split; the scores are those of one centre crop per
    image, after the ``calibration`` if there is one. ``stored`` is the number of images that the
    bundle holds.
    """
    sections = [
        _head(run),
        *(_data(task, head, samples) for head, task in enumerate(run.tasks)),
        _scores(run, evaluations),
        _limits(run, samples, calibration),
        _licences(run, stored),
    ]
    return "\n\n".join("\n".join(section) for section in sections) + "\n"


def _head(run: Run) -> list[str]:
    names = ", ".join(task.name for task in run.tasks)
    metrics, crop = run.metrics, run.config.data.crop
    return [
        f"# Model card: {names}",
        "",
        f"- Network: {run.config.model.name}, crops of {crop} x {crop} pixels",
        f"- Training: {counted(int(metrics.get('epochs', 0)), 'epoch')} with fashionai "
        f"{fashionai.__version__}; the weights are those of {run.weights_origin}",
        f"- SHA-256 of the weights: {run.check_weights()}",
        f"- Hash of the data: {metrics.get('data_hash', 'unknown')}",
        *([CHANGED] if data_has_changed(run) else []),
        "",
        "`predict.py` prints the probability of each class of an image. `model.json` has the "
        "classes and how images are prepared; `checksums.sha256` has the SHA-256 of each file.",
    ]


def _data(task: Task, head: int, samples: Mapping[str, Samples]) -> list[str]:
    """The number of images of each class in each split, and of those with a pseudo-label."""
    counts = dict(_classes(head, samples))
    lines = [f"## Data: {task.name}", "", _row("class", *counts), _rule(len(counts))]
    for index, name in enumerate(task.classes):
        lines.append(_row(_plain(name), *(int((each == index).sum()) for each in counts.values())))
    return [*lines, _row("all", *(len(each) for each in counts.values()))]


def _classes(head: int, samples: Mapping[str, Samples]) -> Iterator[tuple[str, np.ndarray]]:
    """The classes ``(N,) int64`` of a task's images in each split; pseudo-labels by themselves."""
    for split, each in samples.items():
        classes = true_classes(each.marks_of(head))
        is_pseudo = np.isin(each.of_task(head), each.pseudo)
        yield split, classes[~is_pseudo]
        if is_pseudo.any():
            yield PSEUDO_LABELS, classes[is_pseudo]


def _scores(run: Run, evaluations: Mapping[str, Sequence[TaskEvaluation]]) -> list[str]:
    lines = [
        "## Scores",
        "",
        "One centre crop per image, as `predict.py` computes; the 95 % confidence intervals come "
        f"from bootstrap resamples of the images. {_choice(run)} test, if there is one, was held "
        "out.",
        "",
        _row("task", "split", "images", "score", "value", "from", "to"),
        _rule(6),
    ]
    for split, each in evaluations.items():
        for task in each:
            for key, name in SCORES.items():
                ends = [f"{end:.4f}" for end in task.intervals[key]]
                cells = (split, task.rows, name, f"{task.scores[key]:.4f}", *ends)
                lines.append(_row(task.name, *cells))
    return lines


def _choice(run: Run) -> str:
    """Whether the weights were chosen on the validation split, and what that means."""
    if run.metrics.get("monitor") == LAST and run.averaging != GREEDY:
        return "The weights are those of the last epoch: nothing was chosen on the split val;"
    return (
        "The weights were chosen on the split val, whose scores are therefore too good by a little;"
    )


def _limits(
    run: Run, samples: Mapping[str, Samples], calibration: Optional[Calibration]
) -> list[str]:
    validated = len(samples["val"].paths)
    return [
        "## Limits",
        "",
        "- It knows the classes above and no others: an image of anything else gets one of them, "
        "often with a high probability.",
        "- The scores hold for images like those of the data, of the same kind and origin. Other "
        "cameras, light, countries or people can lower them: measure them on your own images.",
        f"- The scores of val come from {counted(validated, 'image')}: see the intervals.",
        *(f"- {line}" for line in _calibrated(run, calibration)),
        f"- Only the middle of an image is seen: a square of {_seen(run):.0%} of its short side.",
        "- `predict.py` turns no transparent image upright by its EXIF orientation, and shows the "
        "network wrong colours of transparent TIFFs and of grey PNGs without an alpha channel in "
        "which one grey is transparent: save these as upright PNGs with an alpha channel first.",
        "- Decisions about people need a person who can overrule them.",
    ]


def _calibrated(run: Run, calibration: Optional[Calibration]) -> Iterator[str]:
    """Whether probabilities are calibrated, on how many images, and how well for each task."""
    if calibration is None:
        yield "Probabilities are not calibrated: 0.9 does not mean that 9 of 10 are right."
        return
    fits = read_json(run.folder.calibration_file)["tasks"]
    for task in run.tasks:
        images = fits[task.name]["images"]
        error = fits[task.name]["after"]["calibration_error"]
        line = (
            f"Probabilities of {task.name} are calibrated, fitted on {counted(images, 'image')} "
            f"({calibration.rows}); their calibration error is {error:.4f}."
        )
        if images >= FEW_VALIDATION_IMAGES:
            line += " Of images like these, about 9 of 10 with a probability of 0.9 are right."
        yield line


def _seen(run: Run) -> float:
    return run.config.data.crop / run.config.data.short_side


def _licences(run: Run, stored: int) -> list[str]:
    return [
        "## Licences",
        "",
        *(f"- {line}" for line in _licence_of_weights(run)),
        "- `predict.py`: Apache-2.0.",
        f"- The rights in the {counted(stored, 'image')} in `samples/`, which come from the split "
        "val, are those of the data.",
    ]


def _licence_of_weights(run: Run) -> Iterator[str]:
    """What is known about the weights that the training began with."""
    if run.config.model.pretrained is False:
        yield "Weights: trained from random ones, so that no other licence limits their use."
        return
    source, licence = origin_of(run)
    known = _plain(source) or "pretrained weights of unknown source"
    yield f"Weights: trained further from {known}."
    yield f"Licence of these pretrained weights: {shown_licence(licence)}."
    if NON_COMMERCIAL in f"{licence}-":
        yield "That licence allows no commercial use."


def _row(*cells: object) -> str:
    return f"| {' | '.join(map(str, cells))} |"


def _rule(numbers: int) -> str:
    return _row("---", *["---:"] * numbers)


def _plain(text: str) -> str:
    """A text of the user's, such as the name of a class, that Markdown shows as it is."""
    return MARKUP.sub(r"\\\g<0>", " ".join(text.splitlines()))
