"""Calibration: the ranges of a network's layers on training images, for 8-bit integers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import scipy.stats

from fashionai.config import Config
from fashionai.engines.gluon import load_network
from fashionai.engines.int8.bias_correction import correct_biases
from fashionai.errors import RunError, first_line
from fashionai.frameworks.mxnet import import_mxnet
from fashionai.models.forward import Normalize, to_device
from fashionai.models.graph import INPUT, Graph, fuse, trace
from fashionai.pipeline.augment import EvaluationTransform
from fashionai.pipeline.loader import Loader
from fashionai.progress import Advance, ProgressBar, no_bar, no_progress
from fashionai.runs import Run

mx = import_mxnet()
DataIter: Any = mx.io.DataIter

BATCH_SIZE = 16
# More images hardly change the means that biases are corrected by, and all are in memory at once.
CORRECTION_IMAGES = 64


def choose_images(run: Run, paths: Sequence[Path], count: int) -> list[Path]:
    """Choose ``count`` images at random, by the seed of the run; all when there are fewer."""
    rows = np.random.default_rng(run.config.seed).permutation(len(paths))[:count]
    return [paths[row] for row in rows]


def calibrate(run: Run, images: Sequence[Path], mode: str, progress: ProgressBar = no_bar) -> Graph:
    """Quantize a run's network with ranges that these images give; ``progress`` counts them.

    ``mode`` is how the range of a layer's outputs is chosen: naive (the range of all values) or
    entropy (the range of the least Kullback-Leibler divergence between the values and the quantized
    values, as in TensorRT). The images are used as centre crops. Biases are corrected by the first
    CORRECTION_IMAGES of them.

    Raises RunError when MXNet cannot quantize the network, DataError for an image that cannot be
    decoded, WeightsError when the weights do not fit the network.
    """
    graph = trace(load_network(run, [mx.cpu()]))
    try:
        with progress("calibrating", len(images)) as advance:
            quantized = _quantized(graph, _CalibrationBatches(run.config, images, advance), mode)
        batches = _CalibrationBatches(run.config, images[:CORRECTION_IMAGES], no_progress)
        exact = fuse(graph, "MKLDNN_QUANTIZE")
        return correct_biases(exact, quantized, [batch.data[0] for batch in batches], progress)
    except mx.base.MXNetError as error:
        raise RunError(
            f"{run}: MXNet cannot quantize {run.config.model.name} ({first_line(error)})"
        ) from None


def _quantized(graph: Graph, batches: _CalibrationBatches, mode: str) -> Graph:
    """The graph as MXNet quantizes it."""
    # MXNet needs SciPy for mode entropy, and fashionai.runtime hides SciPy while it imports MXNet.
    mx.contrib.quantization.stats = scipy.stats
    parts = mx.contrib.quantization.quantize_model_mkldnn(
        graph.symbol,
        graph.arguments,
        graph.statistics,
        data_names=[INPUT],
        label_names=None,
        calib_mode=mode,
        calib_data=batches,
        quantized_dtype="auto",
        # MXNet multiplies int8 alone, and quantizes what is never negative as uint8.
        excluded_op_names=["elemwise_mul"],
        logger=None,
    )
    return Graph(*parts)


class _CalibrationBatches(DataIter):
    """Normalised centre crops, in the form that MXNet's calibration reads.

    All batches have one shape: the first images are repeated to fill the last batch.
    """

    def __init__(self, config: Config, paths: Sequence[Path], progress: Advance) -> None:
        batch_size = min(BATCH_SIZE, len(paths))
        super().__init__(batch_size)
        batches = math.ceil(len(paths) / batch_size)
        rows = np.resize(np.arange(len(paths)), batches * batch_size)
        self._batches = Loader(paths, EvaluationTransform(config.data), batch_size).batches(rows)
        self._normalize = Normalize(*config.data.normalization)
        shape = (batch_size, 3, config.data.crop, config.data.crop)
        self.provide_data = [mx.io.DataDesc(INPUT, shape)]
        self.provide_label: list[Any] = []
        self._left, self._progress = len(paths), progress

    def next(self) -> Any:
        """The next batch; StopIteration at the end."""
        pixels = to_device(next(self._batches).images[:, 0], mx.cpu())
        done = min(self._left, self.batch_size)
        self._left -= done
        self._progress(done)
        return mx.io.DataBatch([self._normalize(pixels)])
