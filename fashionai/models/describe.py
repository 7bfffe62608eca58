"""Describing an initialised Gluon network as plain data for other frameworks."""

from __future__ import annotations

import json
from typing import Any, Optional

import numpy as np

from fashionai.errors import ConfigError
from fashionai.frameworks.mxnet import import_mxnet
from fashionai.models.backbone import (
    SEVERAL_CALLS,
    NotConstantError,
    check_frozen,
    feature_shape,
    trace_to_output_layer,
)
from fashionai.models.description import INPUT, Entry, Features, NetworkDescription
from fashionai.models.freezing import layers_and_output, moving_parameters
from fashionai.models.merging import merge_operators
from fashionai.models.zoo import output_names

mx = import_mxnet()


def describe(network: Any, crop: int) -> NetworkDescription:
    """Describe a network whose parameters are initialised and frozen as they will be trained.

    ``crop`` is the side of the images in pixels. The network is traced once; nothing is
    computed.
    """
    logits, inputs, reason = _trace(network)
    nodes, entries = _nodes([logits] if inputs is None else [logits, inputs])
    features = None
    if inputs is not None:
        try:
            check_frozen(network, inputs)
            features = Features(entries[1], feature_shape(inputs, crop))
        except NotConstantError as error:
            reason = str(error)
    named = network._collect_params_with_prefix()
    stored = {parameter.name: name for name, parameter in reversed(list(named.items()))}
    # As gluon.Trainer sorts them.
    order = [stored[name] for name in sorted(network.collect_params())]
    trained = [name for name in order if named[name].grad_req != "null"]
    return NetworkDescription(
        nodes=nodes,
        logits=entries[0],
        variables={
            node["name"]: stored[node["name"]]
            for node in nodes
            if node["op"] == "null" and node["name"] != INPUT
        },
        parameters={name: _values(parameter) for name, parameter in named.items()},
        order=tuple(order),
        rates={name: float(named[name].lr_mult) for name in trained},
        decays={name: float(named[name].wd_mult) for name in trained},
        moving=tuple(moving_parameters(network)),
        output=frozenset(output_names(network)),
        features=features,
        not_constant=reason,
    )


def _trace(network: Any) -> tuple[Any, Optional[Any], str]:
    """The symbols of the logits and of the input of the output layer, or why it is unknown."""
    try:
        _, output = layers_and_output(network)
    except ConfigError as error:
        return network(mx.sym.var(INPUT)), None, error.message
    logits, inputs = trace_to_output_layer(network, output)
    if inputs is None:
        return logits, None, SEVERAL_CALLS
    return logits, inputs, ""


def _nodes(symbols: list[Any]) -> tuple[list[dict[str, Any]], list[Entry]]:
    """The nodes of a graph of several symbols, and the entry of each symbol."""
    description = json.loads(mx.sym.Group(symbols).tojson())
    nodes = [
        {
            "op": node["op"],
            "name": node["name"],
            # Names with underscores are hints for Gluon, such as the initialisation of a variable.
            "attrs": {k: v for k, v in node.get("attrs", {}).items() if not k.startswith("__")},
            "inputs": node["inputs"],
        }
        for node in description["nodes"]
    ]
    entries = [(node, output) for node, output, *_ in description["heads"]]
    return merge_operators(nodes, mark_relus=True), entries


def _values(parameter: Any) -> np.ndarray:
    values: np.ndarray = parameter.data(parameter.list_ctx()[0]).asnumpy()
    return values.astype(np.float32, copy=False)
