"""Scores of a run's probabilities beside those of its calibrated probabilities."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple, Optional

from fashionai.datasets.prepared.check import find_copies
from fashionai.datasets.prepared.samples import read_samples
from fashionai.errors import FashionAIError, counted
from fashionai.pipeline.decode import ImageFile
from fashionai.predictions.formats import as_written
from fashionai.predictions.scaling import Calibration, find_calibration, read_calibration
from fashionai.runs import Run
from fashionai.scoring.evaluate import TaskEvaluation, evaluate_task
from fashionai.scoring.probabilities.calibration import calibration_figures
from fashionai.scoring.rows.labelled_predictions import LabelledPredictions

log = logging.getLogger(__name__)


class RunCalibration(NamedTuple):
    """The calibration of a run, if it has one, and whether it is to be used for the scores."""

    run: Run
    calibration: Optional[Calibration]
    is_used: bool

    @classmethod
    def of(cls, run: Run, crops: int, is_used: bool) -> RunCalibration:
        """The calibration for so many crops.

        If it is to be used, errors are those of read_calibration. Otherwise a warning tells why
        the calibration of a run cannot be shown.
        """
        if is_used:
            return cls(run, read_calibration(run, crops), True)
        calibration, problem = find_calibration(run, crops)
        if problem:
            log.warning("calibrated figures are left out: %s", problem)
        return cls(run, calibration, False)

    def evaluate(
        self, rows: LabelledPredictions, threshold: Optional[float] = None, resamples: int = 0
    ) -> TaskEvaluation:
        """Score probabilities of the run as evaluate_task does, before or after calibration.

        The result has the figures of both.
        """
        task, probabilities, marks = rows.task, rows.probabilities, rows.marks
        if self.calibration is None:
            return evaluate_task(task, probabilities, marks, threshold, resamples)
        scaled = as_written(self.calibration.of(task).apply(probabilities))
        used = scaled if self.is_used else probabilities
        evaluation = evaluate_task(task, used, marks, threshold, resamples)
        scored = marks.any(axis=1)
        return evaluation._replace(
            before_and_after=[
                calibration_figures(values[scored], marks[scored], is_scaled)
                for values, is_scaled in ((probabilities, False), (scaled, True))
            ]
        )

    def warn_of_fitted_split(self, split: str) -> None:
        """Warn if the calibration was fitted on this prepared split of the run."""
        if self.calibration is not None and split in self.calibration.splits:
            self._warn("the images of this split")

    def warn_of_fitted_images(self, files: Sequence[Optional[ImageFile]]) -> None:
        """Warn if the calibration was fitted on some of these images, or on copies of them."""
        if self.calibration is None:
            return
        try:
            splits = [read_samples(self.run.config, each) for each in self.calibration.splits]
            fitted = [path for samples in splits for path in samples.paths]
            count = sum(find_copies([each for each in files if isinstance(each, Path)], fitted))
        except (FashionAIError, OSError):
            return  # images that are missing are named elsewhere
        if count:
            self._warn(f"{count:,} of these {counted(len(files), 'image')}")

    def _warn(self, images: str) -> None:
        assert self.calibration is not None
        log.warning(
            "%s: its calibration was fitted on %s (%s), so the figures after it are too good; "
            "those of other images say how well it is calibrated",
            self.run,
            images,
            self.calibration.rows,
        )
