"""The frozen layers before a network's output layer, as a Gluon block."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Optional

from fashionai.frameworks.mxnet import import_mxnet
from fashionai.models.freezing import layers_and_output
from fashionai.models.graph import INPUT, symbol_block

mx = import_mxnet()

# Operators and activations whose output is random.
RANDOM = re.compile("random|sample|shuffle|rrelu", re.IGNORECASE)
DEFAULT_DROPOUT = 0.5

SEVERAL_CALLS = "its logits are not the result of one call of its output layer"


class NotConstantError(Exception):
    """The input of the output layer is not one constant vector per image. The text says why."""


class Backbone(NamedTuple):
    """The layers before the output layer of a network, and the output layer.

    ``block`` maps ``(B, 3, crop, crop) float32`` to ``(B, *shape) float32``, the input
    of ``output``. All dimensions of ``shape`` but the first are 1. Both share their
    parameters with the network.
    """

    block: Any
    output: Any
    shape: tuple[int, ...]


def cut_backbone(network: Any, crop: int) -> Backbone:
    """Split a frozen network (see freeze) into its backbone and its output layer.

    Raises NotConstantError if the features of an image would differ between epochs,
    because a layer of the backbone is trained, is random or normalises with the
    statistics of the batch, or if the features are not one vector per image.
    """
    _, output = layers_and_output(network)
    _, features = trace_to_output_layer(network, output)
    if features is None:
        raise NotConstantError(SEVERAL_CALLS)
    check_frozen(network, features)
    shape = feature_shape(features, crop)
    return Backbone(symbol_block(features, network.collect_params()), output, shape)


def trace_to_output_layer(network: Any, output: Any) -> tuple[Any, Optional[Any]]:
    """The symbols of a network's logits and of what it passes to its output layer.

    The second one is None if the logits are not the result of one call of the output layer.
    """
    calls: list[Sequence[Any]] = []
    results: list[Any] = []
    hooks = [
        output.register_forward_pre_hook(lambda _, arguments: calls.append(arguments)),
        output.register_forward_hook(lambda _, arguments, result: results.append(result)),
    ]
    logits = network(mx.sym.var(INPUT))
    for hook in hooks:
        hook.detach()
    once = [len(arguments) for arguments in calls] == [1] and results[0].name == logits.name
    return logits, calls[0][0] if once else None


def check_frozen(network: Any, features: Any) -> None:
    """Raise NotConstantError if the features of an image would differ between epochs."""
    parameters = network.collect_params()
    _check_constant(json.loads(features.tojson())["nodes"])
    for name in features.list_arguments():
        if name != INPUT and parameters[name].grad_req != "null":
            raise NotConstantError(f"{name}, before the output layer, is trained as well")


def feature_shape(features: Any, crop: int) -> tuple[int, ...]:
    """The shape of the features of one image. Raises NotConstantError unless it is one vector."""
    _, ((_, *shape),), _ = features.infer_shape_partial(**{INPUT: (1, 3, crop, crop)})
    if not shape or shape[0] != math.prod(shape):
        sizes = " x ".join(map(str, shape))
        raise NotConstantError(
            f"its output layer has an input of {sizes} values per image, expected one vector"
        )
    return tuple(shape)


def _check_constant(nodes: Sequence[Mapping[str, Any]]) -> None:
    """Raise NotConstantError for an operator whose output differs between training steps."""
    for node in nodes:
        name, operator, options = node["name"], node["op"], node.get("attrs", {})
        drops = operator == "Dropout" and float(options.get("p", DEFAULT_DROPOUT)) > 0
        if drops or RANDOM.search(operator + options.get("act_type", "")):
            raise NotConstantError(f"{name}, before the output layer, is random")
        if "BatchNorm" in operator and options.get("use_global_stats") not in ("True", "1"):
            raise NotConstantError(f"{name} normalises with the statistics of each batch")
