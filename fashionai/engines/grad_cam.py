"""Grad-CAM: which pixels a network's logit of a class depends on (arXiv:1610.02391).

MXNet computes it on the CPU, whichever framework has trained the run.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import cv2
import numpy as np

from fashionai.engines.gluon import load_network
from fashionai.frameworks.mxnet import import_mxnet
from fashionai.models.feature_maps import split_at_last_map
from fashionai.models.forward import Normalize, to_device
from fashionai.models.graph import as_block, trace
from fashionai.models.views import probabilities_of
from fashionai.runs import Run

mx = import_mxnet()


class Activations(NamedTuple):
    """The last feature map of one image, ``(C, h, w) float32``, and its probabilities.

    The ``probabilities (O,) float64`` are those of the classes of all tasks side by side.
    """

    features: np.ndarray
    probabilities: np.ndarray


class GradCam:
    """The network of a run, split at its last feature map.

    Raises ConfigError for a network without one, see split_at_last_map, and errors of load_network.
    """

    def __init__(self, run: Run) -> None:
        contexts, self._crop, self._columns = [mx.cpu()], run.config.data.crop, run.columns
        graph = trace(load_network(run, contexts))
        before, after = split_at_last_map(graph, self._crop, run.config.model.name)
        self._before, self._after = as_block(before, contexts), as_block(after, contexts)
        self._normalize = Normalize(*run.config.data.normalization)

    def activations(self, view: np.ndarray) -> Activations:
        """The activations of a view, ``(crop, crop, 3) uint8`` RGB."""
        features = self._before(self._normalize(to_device(view[None], mx.cpu())))
        logits = self._after(features).asnumpy()
        return Activations(features.asnumpy()[0], probabilities_of(logits, self._columns)[0])

    def heat_maps(self, features: np.ndarray, outputs: Sequence[int]) -> np.ndarray:
        """How much each pixel speaks for each of K outputs of the network.

        Returns ``(K, crop, crop) float32`` of at least 0. The largest value of each map is 1,
        unless no pixel speaks for the output: then all are 0.
        """
        gradients = self.gradients(features, outputs)
        side = (self._crop, self._crop)
        maps = [
            cv2.resize(_weighted_sum(features, each), side, interpolation=cv2.INTER_LINEAR)
            for each in gradients
        ]
        return np.stack([each / (each.max() or 1) for each in maps])

    def gradients(self, features: np.ndarray, outputs: Sequence[int]) -> np.ndarray:
        """The gradients ``(K, C, h, w) float32`` of K logits by the last feature map."""
        copies = mx.nd.array(np.repeat(features[None], len(outputs), axis=0))
        copies.attach_grad()
        with mx.autograd.record(train_mode=False):
            logits = self._after(copies)
        chosen = np.zeros(logits.shape, np.float32)
        chosen[np.arange(len(outputs)), outputs] = 1
        logits.backward(mx.nd.array(chosen), train_mode=False)
        gradients: np.ndarray = copies.grad.asnumpy()
        return gradients


def _weighted_sum(features: np.ndarray, gradients: np.ndarray) -> np.ndarray:
    """The positive part of the sum over channels, weighted by their mean gradients, ``(h, w)``."""
    weights = gradients.mean(axis=(1, 2))
    return np.maximum(np.tensordot(weights, features, axes=1), 0)
