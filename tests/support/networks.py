"""Stock networks of the Gluon zoos, which say what a conversion has to give."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from fashionai.runtime import import_mxnet

mx = import_mxnet()


def stock_network(model: str, classes: int = 1000) -> Any:
    """A network of GluonCV's or Gluon's own zoo, all shapes known for crops of 224 pixels."""
    if model.endswith("_v1b"):
        from gluoncv.model_zoo import get_model
    else:
        from mxnet.gluon.model_zoo.vision import get_model
    network = get_model(model, classes=classes)
    network.infer_shape(mx.nd.zeros((1, 3, 224, 224)))
    return network


@functools.cache
def shapes(model: str) -> dict[str, tuple[int, ...]]:
    parameters = stock_network(model)._collect_params_with_prefix()
    return {name: parameter.shape for name, parameter in parameters.items()}


def with_parameters(model: str, values: dict[str, np.ndarray], classes: int = 1000) -> Any:
    """The stock network with exactly these parameters."""
    network = stock_network(model, classes)
    parameters = network._collect_params_with_prefix()
    assert parameters.keys() == values.keys()
    network.initialize(mx.init.Zero())
    for name, parameter in parameters.items():
        assert parameter.shape == values[name].shape, name
        parameter.set_data(mx.nd.array(values[name]))
    return network


def answers(network: Any, images: np.ndarray) -> np.ndarray:
    """Logits ``(B, C)`` for normalised images ``(B, 3, H, W)``."""
    return network(mx.nd.array(images)).asnumpy()
