"""Calibrating a run's network for 8-bit integers, and what accuracy that costs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import scipy.stats

from fashionai.config import Config
from fashionai.datasets.prepared.samples import Samples, read_samples
from fashionai.engines.agreement import Agreement, agreement
from fashionai.engines.gluon import load_network
from fashionai.engines.int8 import integer_engine
from fashionai.engines.int8_files import save_quantized, weights_hash
from fashionai.engines.opening import Engine, open_engine
from fashionai.errors import RunError, TrainingError
from fashionai.models.forward import Normalize, to_device
from fashionai.models.graph import INPUT, Graph, trace
from fashionai.models.zoo import first_line
from fashionai.pipeline.augment import EvaluationTransform
from fashionai.pipeline.loader import Loader
from fashionai.predictions.predict import check_task, predict_with_engine
from fashionai.progress import Advance, no_progress
from fashionai.runs import Run
from fashionai.runtime import import_mxnet
from fashionai.scoring.evaluate import TaskEvaluation
from fashionai.scoring.splits import evaluate_samples

mx = import_mxnet()
DataIter: Any = mx.io.DataIter

MODES = ("naive", "entropy")
CALIBRATION_BATCH = 16
# Scores that may not fall by more than the bound.
BOUND_SCORES = ("accuracy", "map")


class Quantized(NamedTuple):
    """Scores on the validation split before and after, by task, and how far answers agree.

    ``images`` is how many the ranges are from.
    """

    images: int
    before: list[TaskEvaluation]
    after: list[TaskEvaluation]
    agreement: Agreement

    @property
    def loss(self) -> float:
        """The largest fall of a score that counts, over all tasks."""
        pairs = zip(self.before, self.after)
        falls = [a.scores[s] - b.scores[s] for a, b in pairs for s in BOUND_SCORES]
        return float(np.max([0.0, *falls]))


def quantize(
    run: Run,
    *,
    mode: str = "naive",
    images: int = 256,
    max_loss: float = 0.01,
    batch_size: int = 16,
    progress: Advance = no_progress,
) -> Quantized:
    """Calibrate on ``images`` training images, score on validation, and keep it in the run.

    ``mode`` is how the range of a layer's outputs is chosen: naive (all that was seen) or entropy
    (the least Kullback-Leibler divergence, as TensorRT has it). Images are centre
    crops. ``progress`` counts validation images, twice each. Raises TrainingError, and writes
    nothing, when accuracy or mAP of a task falls by more than ``max_loss``; RunError when
    the prepared folder has other classes than the run.
    """
    config, columns = run.config, run.columns
    train, val = (read_samples(config, split) for split in ("train", "val"))
    for task in val.tasks:
        check_task(run, task)
    weights, exact = weights_hash(run), open_engine(run, [mx.cpu()], "gluon")
    graph, used = calibrate(run, train, mode, images)
    integer = integer_engine(graph, config.data.normalization, [mx.cpu()], columns)

    def answers_of(engine: Engine) -> np.ndarray:
        return predict_with_engine(
            engine, run, val.paths, crops=1, batch_size=batch_size, progress=progress
        )

    answers = answers_of(exact), answers_of(integer)
    before, after = (evaluate_samples(val, val.by_task(a)) for a in answers)
    result = Quantized(used, before, after, agreement(*answers, columns))
    if not result.loss <= max_loss:
        raise TrainingError(
            f"{run}: in 8-bit integers accuracy or mAP falls by {result.loss:.4f}, allowed "
            f"are {max_loss:g}; nothing was written",
            f"Try --mode {MODES[mode == MODES[0]]}, more --images, or a larger --max-loss",
        )
    if weights_hash(run) != weights:
        raise RunError(f"{run}: its weights have changed meanwhile", "Quantize it again")
    save_quantized(run, graph, weights, _report(result, mode, max_loss))
    return result


def calibrate(run: Run, train: Samples, mode: str, images: int) -> tuple[Graph, int]:
    """The integer graph, and the number of images that its ranges are from."""
    config, graph = run.config, trace(load_network(run, [mx.cpu()]))
    count = min(images, len(train.paths))
    rows = np.random.default_rng(config.seed).permutation(len(train.paths))[:count]
    # MXNet asks for SciPy, which its import was not shown, and then computes without it.
    mx.contrib.quantization.stats = scipy.stats
    try:
        symbol, arguments, statistics = mx.contrib.quantization.quantize_model_mkldnn(
            graph.symbol,
            graph.arguments,
            graph.statistics,
            data_names=[INPUT],
            label_names=None,
            calib_mode=mode,
            calib_data=_Batches(config, [train.paths[row] for row in rows]),
            quantized_dtype="auto",
            logger=None,
        )
    except mx.base.MXNetError as error:
        raise RunError(
            f"{run}: MXNet cannot quantize {config.model.name} ({first_line(error)})"
        ) from None
    return Graph(symbol, arguments, statistics), count


class _Batches(DataIter):
    """Normalised centre crops as MXNet's calibration wants them, in batches of one shape."""

    def __init__(self, config: Config, paths: Sequence[Path]) -> None:
        batch = min(CALIBRATION_BATCH, len(paths))
        super().__init__(batch)
        # The first images come again to fill the last batch.
        rows = np.resize(np.arange(len(paths)), -(-len(paths) // batch) * batch)
        self._batches = Loader(paths, EvaluationTransform(config.data), batch).batches(rows)
        self._normalize = Normalize(*config.data.normalization)
        shape = (batch, 3, config.data.crop, config.data.crop)
        self.provide_data = [mx.io.DataDesc(INPUT, shape)]
        self.provide_label: list[Any] = []

    def next(self) -> Any:
        """The next batch; StopIteration at the end."""
        pixels = to_device(next(self._batches).images[:, 0], mx.cpu())
        return mx.io.DataBatch([self._normalize(pixels)])


def _report(result: Quantized, mode: str, max_loss: float) -> dict[str, Any]:
    return {
        "mode": mode,
        "images": result.images,
        "max_loss": max_loss,
        "top1_agreement": result.agreement.top1,
        "largest_difference": result.agreement.difference,
        "tasks": {
            before.task.name: {
                "n": before.rows,
                **{
                    when: {name: e.scores[name] for name in BOUND_SCORES}
                    for when, e in (("float32", before), ("int8", after))
                },
            }
            for before, after in zip(result.before, result.after)
        },
    }
