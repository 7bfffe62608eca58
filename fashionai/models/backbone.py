"""The frozen layers in front of a network's output layer, as a block of their own."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from fashionai.models.freezing import layers_and_output
from fashionai.models.graph import INPUT, symbol_block
from fashionai.runtime import import_mxnet

mx = import_mxnet()

# Operators that answer otherwise each time they are asked.
RANDOM = re.compile("random|sample|shuffle|rrelu", re.IGNORECASE)
DEFAULT_DROPOUT = 0.5


class NotConstantError(Exception):
    """What reaches the output layer is not one constant vector for each image; says why."""


class Backbone(NamedTuple):
    """``block`` is ``(B, 3, crop, crop) float32`` to ``(B, *shape) float32``, for ``output``.

    It shares its parameters with the network. All dimensions of ``shape`` but the
    first are 1.
    """

    block: Any
    output: Any
    shape: tuple[int, ...]


def cut_backbone(network: Any, crop: int) -> Backbone:
    """The layers of a frozen network in front of its output layer, see freeze.

    Raises NotConstantError where training would see something else in every epoch:
    layers that learn, drop at random or normalise by the batch, or feature maps.
    """
    _, output = layers_and_output(network)
    features = _input_of(output, network)
    parameters = network.collect_params()
    _check_constant(json.loads(features.tojson())["nodes"])
    for name in features.list_arguments():
        if name != INPUT and parameters[name].grad_req != "null":
            raise NotConstantError(f"{name}, in front of the output layer, learns as well")
    _, ((_, *shape),), _ = features.infer_shape_partial(**{INPUT: (1, 3, crop, crop)})
    if not shape or shape[0] != math.prod(shape):
        side = " x ".join(map(str, shape))
        raise NotConstantError(f"its output layer takes {side} values of an image, not one vector")
    return Backbone(symbol_block(features, parameters), output, tuple(shape))


def _input_of(output: Any, network: Any) -> Any:
    """The symbol that a network gives to its output layer."""
    inputs: list[Sequence[Any]] = []
    answers: list[Any] = []
    hooks = [
        output.register_forward_pre_hook(lambda _, given: inputs.append(given)),
        output.register_forward_hook(lambda _, given, answer: answers.append(answer)),
    ]
    logits = network(mx.sym.var(INPUT))
    for hook in hooks:
        hook.detach()
    if [len(given) for given in inputs] != [1] or answers[0].name != logits.name:
        raise NotConstantError("it does more with its output layer than to ask it once")
    return inputs[0][0]


def _check_constant(nodes: Sequence[Mapping[str, Any]]) -> None:
    """NotConstantError for an operator that answers in training as nowhere else."""
    for node in nodes:
        name, operator, options = node["name"], node["op"], node.get("attrs", {})
        drops = operator == "Dropout" and float(options.get("p", DEFAULT_DROPOUT)) > 0
        if drops or RANDOM.search(operator + options.get("act_type", "")):
            raise NotConstantError(f"{name} is random, in front of the output layer")
        if "BatchNorm" in operator and options.get("use_global_stats") not in ("True", "1"):
            raise NotConstantError(f"{name} normalises by the statistics of each batch")
