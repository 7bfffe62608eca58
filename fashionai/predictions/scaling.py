"""Calibrations of runs: probabilities scaled so that they agree with how often they are correct.

A calibration belongs to certain weights, and to a number and size of crops. It is applied to
the mean probabilities over crops, because these are what a prediction file holds: averaging makes
predictions less confident, and out-of-fold predictions and some engines have no logits. It is
fitted on means over as many crops of the same size, so that fit and use are consistent.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Optional

import numpy as np

from fashionai.errors import FashionAIError, RunError, counted
from fashionai.files.formats.json_files import read_json
from fashionai.models.views import softmax
from fashionai.pipeline.crop_counts import DEFAULT_CROPS
from fashionai.predictions.formats import DECIMALS, as_written
from fashionai.runs import Run
from fashionai.tasks import Task

TEMPERATURE = "temperature"
SMALLEST = 0.5 * 10.0**-DECIMALS


class Scaling(NamedTuple):
    """Scales the probabilities p of one task with C classes.

    The result is the softmax of ``weights * ln p + biases``, both ``(C,) float64``. With a single
    crop, equal weights 1 / T and no biases, this is the softmax of the logits divided by the
    temperature T (Guo et al. 2017, arXiv:1706.04599); with others it is vector scaling, of log
    probabilities as in Dirichlet calibration with a diagonal matrix (arXiv:1910.12656).
    """

    weights: np.ndarray
    biases: np.ndarray

    @classmethod
    def of_temperature(cls, temperature: float, classes: int) -> Scaling:
        """Division of all logits by a temperature."""
        return cls(np.full(classes, 1 / temperature), np.zeros(classes))

    def apply(self, probabilities: np.ndarray) -> np.ndarray:
        """Scaled probabilities ``(N, C) float64``; those of each row sum to 1."""
        return softmax(self.weights * log_probabilities(probabilities) + self.biases)

    @property
    def temperature(self) -> Optional[float]:
        """The temperature, where all classes have the same and no biases."""
        same = np.ptp(self.weights) == 0 and not self.biases.any()
        return float(1 / self.weights[0]) if same else None

    def to_json(self) -> dict[str, Any]:
        """The content of an entry of calibration.json."""
        if self.temperature is not None:
            return {TEMPERATURE: self.temperature}
        return {"weights": self.weights.tolist(), "biases": self.biases.tolist()}

    @classmethod
    def from_json(cls, entry: Mapping[str, Any], classes: int) -> Scaling:
        """The inverse of to_json. Raises ValueError, TypeError or KeyError for other content."""
        if TEMPERATURE in entry:
            scaling = cls.of_temperature(float(entry[TEMPERATURE]), classes)
        else:
            scaling = cls(*(np.array(entry[key], np.float64) for key in ("weights", "biases")))
        shapes_fit = scaling.weights.shape == scaling.biases.shape == (classes,)
        if not shapes_fit or not np.isfinite(scaling).all() or (scaling.weights <= 0).any():
            raise ValueError("not a scaling of these classes")
        return scaling


def log_probabilities(probabilities: np.ndarray) -> np.ndarray:
    """The natural logarithm of probabilities, rounded as in a prediction file.

    What is computed from a file and without one is then the same. A probability that is rounded to
    0 counts as half of the last digit.
    """
    return np.log(np.maximum(as_written(probabilities), SMALLEST))


class Calibration(NamedTuple):
    """What calibration.json holds of a run: how it was fitted, and a scaling per task by name.

    ``rows`` says for people what it was fitted on, and ``splits`` which of the run's prepared
    splits these rows are. ``image_size`` is the side of the crops in pixels.
    """

    rows: str
    splits: Sequence[str]
    crops: int
    image_size: int
    scalings: Mapping[str, Scaling]

    def of(self, task: Task) -> Scaling:
        """The scaling of a task of the run."""
        return self.scalings[task.name]


def write_content(
    calibration: Calibration, weights_hash: str, fits: Mapping[str, Mapping[str, Any]]
) -> dict[str, Any]:
    """The content of calibration.json; ``fits`` has further values for each task, by name."""
    fields = calibration._asdict()
    scalings = fields.pop("scalings")
    tasks = {name: {**scalings[name].to_json(), **fits[name]} for name in scalings}
    return {**fields, "weights_sha256": weights_hash, "tasks": tasks}


def read_calibration(run: Run, crops: int = DEFAULT_CROPS) -> Calibration:
    """The calibration of a run, for predictions with so many crops.

    Raises RunError, with the command that mends it, when the run has none, when the run was
    trained on since, when it was fitted for other crops, and when the file is damaged.
    """
    file, command = run.folder.calibration_file, f"Run: {_command(run, crops)}"
    try:
        content = read_json(file)
    except FileNotFoundError:
        raise RunError(f"{run}: not calibrated yet", command) from None
    except (OSError, ValueError):
        raise RunError(f"{file}: cannot be read", command) from None
    try:
        if content["weights_sha256"] != run.check_weights():
            raise RunError(f"{run}: calibrated for other weights than it has now", command)
        calibration = Calibration(
            str(content["rows"]),
            [str(split) for split in content["splits"]],
            content["crops"],
            content["image_size"],
            {task.name: _scaling_of(task, content["tasks"]) for task in run.tasks},
        )
    except (TypeError, KeyError, ValueError, ZeroDivisionError):
        raise RunError(f"{file}: does not hold a calibration of this run", command) from None
    if (calibration.crops, calibration.image_size) != (crops, run.config.data.crop):
        raise RunError(
            f"{run}: calibrated for {counted(calibration.crops, 'crop')} of "
            f"{calibration.image_size} pixels, not for {crops} of {run.config.data.crop}",
            command,
        )
    return calibration


def find_calibration(run: Run, crops: int) -> tuple[Optional[Calibration], str]:
    """The calibration of a run where it can be used; else None, and why a file is not used."""
    if not run.folder.calibration_file.exists():
        return None, ""
    try:
        return read_calibration(run, crops), ""
    except FashionAIError as error:
        return None, str(error)


def _scaling_of(task: Task, tasks: Mapping[str, Any]) -> Scaling:
    return Scaling.from_json(tasks[task.name], len(task.classes))


def _command(run: Run, crops: int) -> str:
    options = "" if crops == DEFAULT_CROPS else f" --crops {crops}"
    if run.crop is not None:
        options += f" --image-size {run.crop}"
    return f"fashionai calibrate {shlex.quote(str(run))}{options}"
