"""Networks and their parameters: stock ones of the zoos, random ones, and runs that hold them."""

from __future__ import annotations

import functools
import re
from pathlib import Path
from typing import Any

import numpy as np

from fashionai.config import Config, DataConfig, save_config
from fashionai.config.sections import ModelConfig
from fashionai.families import expand_tasks
from fashionai.files import write_json
from fashionai.frameworks.mxnet import import_gluoncv, import_mxnet
from fashionai.models.networks.options import NetworkOptions
from fashionai.models.networks.registry import NETWORKS
from fashionai.models.zoo import build_network
from fashionai.runs import Run, create_run
from fashionai.tasks import tasks_to_json

mx = import_mxnet()


def stock_network(model: str, classes: int = 1000) -> Any:
    """A stock network of a zoo or of this project, all shapes known for crops of 224 pixels."""
    if model in NETWORKS:
        network = NETWORKS[model](NetworkOptions(classes))
    else:
        of_gluoncv = model.startswith("resnest") or re.search("_v1[bd]$", model)
        zoo = import_gluoncv().model_zoo if of_gluoncv else mx.gluon.model_zoo.vision
        network = zoo.get_model(model, classes=classes)
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


def parameters_of(network: Any) -> dict[str, np.ndarray]:
    """The values of all parameters by name."""
    parameters = network._collect_params_with_prefix()
    return {name: parameter.data().asnumpy() for name, parameter in parameters.items()}


def answers(network: Any, images: np.ndarray) -> np.ndarray:
    """Logits ``(B, C)`` for normalised images ``(B, 3, H, W)``."""
    return network(mx.nd.array(images)).asnumpy()


def make_parameters(model: str, classes: int = 1000) -> dict[str, np.ndarray]:
    """Random parameters of a network, with statistics of normalisation that are not trivial."""
    mx.random.seed(1)
    rng = np.random.default_rng(1)
    # He's variance, arXiv:1502.01852: behind many layers with ReLU there is something left.
    network = build_network(model, classes, 224, init_magnitude=6)
    parameters = parameters_of(network)
    for name, value in parameters.items():
        if name.endswith("running_mean"):
            parameters[name] = rng.normal(0, 0.1, value.shape).astype(np.float32)
        if name.endswith(("running_var", "gamma")):
            parameters[name] = rng.uniform(0.5, 1.5, value.shape).astype(np.float32)
    return parameters


def write_parameters(file: Path, parameters: dict[str, np.ndarray]) -> Path:
    """A .params file of MXNet."""
    mx.nd.save(str(file), {name: mx.nd.array(value) for name, value in parameters.items()})
    return file


def write_lively_weights(file: Path, network: str, seed: int) -> Path:
    """Random weights for 6 classes, with statistics that belong to them: else features die out."""
    mx.random.seed(seed)
    made = build_network(network, 6, 32)
    rng = np.random.default_rng(seed)
    for _ in range(40):
        with mx.autograd.record():
            answer = made(mx.nd.array(rng.normal(size=(8, 3, 32, 32))))
        answer.backward()
    made.save_parameters(str(file))
    return file


def make_run(folder: Path, network: str, **data: object) -> Run:
    """A finished run of two tasks, skirt and pant, with random weights."""
    run = create_run(folder / network)
    settings = DataConfig(resize_short=72, crop=64, **data)  # type: ignore[arg-type]
    model = ModelConfig(name=network, pretrained=False)
    save_config(Config(task=["skirt", "pant"], model=model, data=settings), run.config_file)
    write_json(run.classes_file, tasks_to_json(expand_tasks(["skirt", "pant"])))
    write_json(run.metrics_file, {"finished": True, "epochs": 40, "best_epoch": 1, "tasks": {}})
    mx.random.seed(3)
    build_network(network, 12, 64).save_parameters(str(run.best_parameters))
    return Run.open(run.path)


def disturb_normalisation(parameters: Path) -> None:
    """Statistics and factors as training leaves them: fresh ones change nothing that they touch."""
    rng = np.random.default_rng(0)
    weights = mx.nd.load(str(parameters))
    for name, values in weights.items():
        if name.endswith(("gamma", "scale", "running_var")):
            weights[name] = mx.nd.array(rng.uniform(0.5, 1.5, values.shape))
        elif name.endswith(("beta", "running_mean")):
            weights[name] = mx.nd.array(rng.normal(0, 0.2, values.shape))
    mx.nd.save(str(parameters), weights)
