"""Graphs computed by MXNet and by PyTorch, and parameters that hide no error."""

from __future__ import annotations

import json
from typing import Any, NamedTuple

import numpy as np

from fashionai.errors import ConfigError
from fashionai.frameworks.mxnet import import_mxnet
from fashionai.models.description import NetworkDescription
from fashionai.models.graph import changed_symbol
from fashionai.models.zoo import build_network

mx = import_mxnet()

# The sides of images that networks take, the smallest first.
CROPS = (32, 64, 96, 224, 299)


class Computed(NamedTuple):
    """What a graph computed: the output, the gradients by name, and the running statistics."""

    output: np.ndarray
    gradients: dict[str, np.ndarray]
    statistics: dict[str, np.ndarray]


def randomise(network: Any, crop: int) -> None:
    """Set what a fresh network has as zeros and ones to random values.

    The running statistics are near those of images, as after training: in deep networks
    activations would grow by powers of ten otherwise, and rounding with them.
    """
    rng = np.random.default_rng(0)
    for name, parameter in network.collect_params().items():
        if name.endswith(("gamma", "scale")):
            parameter.set_data(mx.nd.array(rng.uniform(0.5, 1.5, parameter.shape)))
        elif name.endswith(("beta", "bias")):
            parameter.set_data(mx.nd.array(rng.normal(0, 0.2, parameter.shape)))
    measure_statistics(network, random_images(crop, count=3))
    for name, parameter in network.collect_params().items():
        values = parameter.data().asnumpy()
        if name.endswith("running_mean"):
            parameter.set_data(mx.nd.array(values + rng.normal(0, 0.2, values.shape)))
        elif name.endswith("running_var"):
            noise = rng.uniform(0.7, 1.5, values.shape)
            parameter.set_data(mx.nd.array(values * noise + 0.2 * values.mean() + 0.1))


def measure_statistics(network: Any, images: np.ndarray) -> None:
    """Set the running statistics to those of these images."""
    graph = json.loads(network(mx.sym.var("data")).tojson())
    for node in graph["nodes"]:
        if node["op"] == "BatchNorm":
            node["attrs"]["momentum"] = "0"
    parameters = dict(network.collect_params().items())
    values = {name: parameter.data().asnumpy() for name, parameter in parameters.items()}
    computed = by_mxnet(changed_symbol(graph), values, images)
    for name, statistics in computed.statistics.items():
        parameters[name].set_data(mx.nd.array(statistics))


def random_network(name: str, classes: int = 5) -> tuple[Any, int]:
    """A network for the smallest images that it takes, and their side."""
    mx.random.seed(0)
    for crop in CROPS:
        try:
            network = build_network(name, classes, crop, init_magnitude=6)
        except ConfigError:
            continue
        randomise(network, crop)
        return network, crop
    raise AssertionError(f"{name} takes no images of {CROPS} pixels")


def random_images(crop: int, count: int = 2) -> np.ndarray:
    return np.random.default_rng(1).normal(size=(count, 3, crop, crop)).astype(np.float32)


def description_of(symbol: Any, values: dict[str, np.ndarray]) -> NetworkDescription:
    """The description of a symbol of ``data``; all arguments are trained."""
    graph = json.loads(symbol.tojson())
    nodes = [{"attrs": {}, **node} for node in graph["nodes"]]
    (head, output, *_) = graph["heads"][0]
    trained = [name for name in symbol.list_arguments() if name != "data"]
    return NetworkDescription(
        nodes=nodes,
        logits=(head, output),
        variables={name: name for name in values},
        parameters=values,
        order=tuple(values),
        rates=dict.fromkeys(trained, 1.0),
        decays=dict.fromkeys(trained, 1.0),
        moving=tuple(values),
        output=frozenset(),
        features=None,
        not_constant="",
    )


def random_values(symbol: Any, shape: tuple[int, ...]) -> dict[str, np.ndarray]:
    """Random parameters and statistics of a symbol of ``data`` with this shape."""
    rng = np.random.default_rng(2)
    arguments, _, statistics = symbol.infer_shape(data=shape)
    shapes = dict(zip(symbol.list_arguments(), arguments))
    shapes.update(zip(symbol.list_auxiliary_states(), statistics))
    return {
        name: rng.uniform(0.5, 1.5, sides).astype(np.float32)
        for name, sides in shapes.items()
        if name != "data"
    }


def by_mxnet(
    symbol: Any, values: dict[str, np.ndarray], data: np.ndarray, *, training: bool = True
) -> Computed:
    """The output and the gradients of a symbol, whose output has the gradient ``weights_of``."""
    given = {**values, "data": data}
    arrays = {name: mx.nd.array(each, dtype=each.dtype) for name, each in given.items()}
    arguments = {name: arrays[name] for name in symbol.list_arguments()}
    statistics = {name: arrays[name] for name in symbol.list_auxiliary_states()}
    gradients = {name: mx.nd.zeros(each.shape) for name, each in arguments.items()}
    executor = symbol.bind(mx.cpu(), arguments, gradients, aux_states=statistics)
    output = executor.forward(is_train=training)[0]
    if training:
        executor.backward(mx.nd.array(weights_of(output.shape)))
    return Computed(
        output.asnumpy(),
        {name: each.asnumpy() for name, each in gradients.items()} if training else {},
        {name: each.asnumpy() for name, each in statistics.items()},
    )


def by_torch(
    description: NetworkDescription, data: np.ndarray, *, training: bool = True
) -> Computed:
    """What by_mxnet computes, by GraphNetwork."""
    import torch

    from fashionai.models.torch.network import GraphNetwork

    network = GraphNetwork(description).train(training)
    inputs = torch.tensor(data, requires_grad=training)
    output = network(inputs)
    if training:
        network.update_statistics(data.shape)
        (output * torch.from_numpy(weights_of(output.shape))).sum().backward()
    gradients = {name: each.grad for name, each in network.named().items() if each.requires_grad}
    if training:
        gradients["data"] = inputs.grad
    return Computed(
        output.detach().numpy(),
        {
            name: np.zeros(description.parameters[name].shape) if each is None else each.numpy()
            for name, each in gradients.items()
            if training
        },
        {name: each.numpy() for name, each in network.named().items() if not each.requires_grad},
    )


def weights_of(shape: tuple[int, ...]) -> np.ndarray:
    """The gradient of an output."""
    return np.random.default_rng(3).normal(size=tuple(shape)).astype(np.float32)
