"""Quantizes a run for the engine int8, unless that lowers its scores too much."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from fashionai.datasets.prepared.samples import Samples, read_samples, warn_of_changed_data
from fashionai.engines.agreement import Agreement, agreement
from fashionai.engines.gluon import open_gluon
from fashionai.engines.guarded import GuardedEngine
from fashionai.engines.int8.calibration import calibrate, choose_images
from fashionai.engines.int8.engine import quantized_forward
from fashionai.engines.int8.files import save_quantized
from fashionai.engines.protocol import Engine
from fashionai.errors import RunError, TrainingError
from fashionai.files.outputs import try_place
from fashionai.frameworks.mxnet import import_mxnet
from fashionai.predictions.predict import check_task, predict_with_engine
from fashionai.progress import ProgressBar, no_bar
from fashionai.runs import Run, check_not_busy, locked_run
from fashionai.scoring.evaluate import TaskEvaluation
from fashionai.scoring.splits import evaluate_samples

mx = import_mxnet()

# The scores that max_loss limits.
LIMITED_SCORES = ("accuracy", "map")


class QuantizationResult(NamedTuple):
    """The scores of a run on its validation split, before and after quantization.

    ``images`` is the number of images that it was calibrated on, ``before`` and ``after`` hold one
    evaluation per task, ``agreement`` compares the probabilities of both networks.
    """

    images: int
    before: list[TaskEvaluation]
    after: list[TaskEvaluation]
    agreement: Agreement

    @property
    def score_loss(self) -> float:
        """The largest decrease of accuracy or mAP over all tasks, at least 0."""
        losses = [
            before.scores[name] - after.scores[name]
            for before, after in zip(self.before, self.after)
            for name in LIMITED_SCORES
        ]
        # np.max gives NaN when one of them is NaN.
        return float(np.max([0.0, *losses]))


def quantize(
    run: Run,
    *,
    mode: str = "naive",
    images: int = 256,
    max_loss: float = 0.01,
    batch_size: int = 16,
    progress: ProgressBar = no_bar,
) -> QuantizationResult:
    """Calibrate a run, score it on validation before and after, and save the quantized network.

    ``images`` is the number of training images to calibrate on, ``mode`` one of CALIBRATION_MODES,
    see calibrate. ``max_loss`` is how much accuracy and mAP of a task may decrease, 0 to 1.
    ``progress`` counts images: those of the calibration, and those of validation, which are
    predicted as centre crops before and after.

    Raises TrainingError when a score decreases by more than ``max_loss``, RunError when the
    prepared folder has other classes than the run or when the run's weights change meanwhile, and
    errors of calibrate. Nothing is written then.
    """
    try_place(str(run.folder.int8_report), run.folder.int8_report)
    check_not_busy(run.folder)
    train, val = (read_samples(run.config, split) for split in ("train", "val"))
    warn_of_changed_data(run)
    for task in val.tasks:
        check_task(run, task)
    contexts, weights = [mx.cpu()], run.check_weights()
    exact = open_gluon(run, contexts)
    chosen = choose_images(run, train.paths, images)
    graph = calibrate(run, chosen, mode, progress)
    quantized = quantized_forward(graph, run.config.data.normalization, contexts, run.columns)

    def predictions_of(engine: Engine, name: str) -> np.ndarray:
        with progress(f"validation, {name}", len(val.paths)) as advance:
            return predict_with_engine(
                GuardedEngine(engine, name, run),
                run,
                val.paths,
                crops=1,
                batch_size=batch_size,
                progress=advance,
            )

    before, after = predictions_of(exact, "float32"), predictions_of(quantized, "int8")
    result = _compare(run, val, len(chosen), before, after)
    _check_score_loss(run, result, mode, max_loss)
    with locked_run(run.folder):
        if run.check_weights() != weights:
            raise RunError(f"{run}: the weights changed during quantization", "Quantize it again")
        save_quantized(run, graph, weights, _report(result, mode, max_loss))
    return result


def _compare(
    run: Run, val: Samples, images: int, exact: np.ndarray, quantized: np.ndarray
) -> QuantizationResult:
    """Score the probabilities ``(N, C)`` of the exact and of the quantized network."""
    before, after = (evaluate_samples(val, val.by_task(each)) for each in (exact, quantized))
    return QuantizationResult(images, before, after, agreement(exact, quantized, run.columns))


def _check_score_loss(run: Run, result: QuantizationResult, mode: str, max_loss: float) -> None:
    # A loss that is not a number fails as well.
    if not result.score_loss <= max_loss:
        other_mode = "entropy" if mode == "naive" else "naive"
        raise TrainingError(
            f"{run}: quantization lowers accuracy or mAP by {result.score_loss:.4f}, "
            f"expected at most {max_loss:g}; nothing was written",
            f"Try --mode {other_mode}, more --calibration-images, or a larger --max-loss",
        )


def _report(result: QuantizationResult, mode: str, max_loss: float) -> dict[str, Any]:
    """The content of int8.json, except for the hashes that save_quantized adds."""
    return {
        "mode": mode,
        "images": result.images,
        "max_loss": max_loss,
        "top1_agreement": result.agreement.top1,
        "largest_difference": result.agreement.difference,
        "tasks": {
            before.task.name: {
                "n": before.rows,
                "float32": _limited_scores(before),
                "int8": _limited_scores(after),
            }
            for before, after in zip(result.before, result.after)
        },
    }


def _limited_scores(evaluation: TaskEvaluation) -> dict[str, float]:
    return {name: evaluation.scores[name] for name in LIMITED_SCORES}
