"""Building networks by name: those of the Gluon and GluonCV model zoos, and our own.

Networks of a zoo differ from its stock networks only in the number of classes and in
layers without parameters: saved parameters load into the stock network.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Optional

import numpy as np

from fashionai.errors import ConfigError, WeightsError, first_line
from fashionai.frameworks.mxnet import import_gluoncv, import_mxnet
from fashionai.models.catalogue import closest_network
from fashionai.models.freezing import layers_and_output
from fashionai.models.networks.blocks import relu6
from fashionai.models.networks.options import NetworkOptions
from fashionai.models.networks.registry import NETWORKS, WITH_DROP_PATH
from fashionai.models.parameter_files import (
    check_fit,
    check_names,
    read_parameters,
    with_positions,
)

mx = import_mxnet()
nn = mx.gluon.nn

# The names in GluonCV's list that are not usable classifiers: networks for other problems,
# quantized and pruned networks, which have a fixed number of 1,000 classes, networks with a
# second output, and networks that cannot be built or hybridized (resnext101e, _gn).
NOT_CLASSIFIERS = re.compile(
    r"^(ssd|yolo|faster_rcnn|mask_rcnn|custom_|fcn|psp|deeplab|icnet|danet|fastscnn|center_net"
    r"|simple_pose|mobile_pose|alpha_pose|i3d|tsn|c3d|p3d|r2plus1d|slowfast|siamrpn|monodepth"
    r"|doublehead|hrnet|nasnet)|kinetics|sthsth|ucf101|hmdb51|_int8$|_custom$|^resnet.*_0\.\d+$"
    r"|resnext101e|_gn$"
)


def network_names() -> list[str]:
    """The names of all image classifiers that build_network accepts."""
    return sorted({*_gluon_names(), *_gluoncv_names(), *NETWORKS})


def build_network(
    name: str,
    classes: int,
    crop: int,
    pretrained: Optional[Path] = None,
    *,
    init_magnitude: float = 3.0,
    drop_path: float = 0.0,
    zero_output: bool = False,
) -> Any:
    """Build a network on the CPU, from ``(B, 3, crop, crop) float32`` to logits ``(B, classes)``.

    The parameters are initialised with Xavier of magnitude ``init_magnitude``; those of the
    output layer are zero if ``zero_output`` is set. If ``pretrained`` is given, load_pretrained
    then loads this .params file. ``drop_path`` is that of NetworkOptions; it changes training
    alone. Raises ConfigError for an unknown name, an unsupported crop and a ``drop_path`` of a
    network without one, WeightsError for weights that do not fit the network.
    """
    try:
        # Gluon numbers the state of an optimizer by the sorted names of layers. Those count from 0
        # in each network, so that a run resumes in any process, whatever it has built before.
        with mx.name.NameManager():
            network = _stock_network(name, NetworkOptions(classes, crop, drop_path))
        _initialize(network, classes, crop, init_magnitude)
    except (mx.base.MXNetError, ValueError) as error:
        raise ConfigError(
            f"model.name: {name} cannot take images of data.crop {crop} pixels "
            f"({first_line(error)})",
            "The networks of the zoos are made for 224 pixels (Inception v3: 299)",
        ) from None
    _fix_input_statistics(network)
    if zero_output:
        _zero_output_layer(network)
    if pretrained is not None:
        load_pretrained(network, pretrained)
    return network


def _initialize(network: Any, classes: int, crop: int, magnitude: float) -> None:
    """Initialise all parameters. Raises ValueError if the output is not one logit per class."""
    network.initialize(mx.init.Xavier(magnitude=magnitude), ctx=mx.cpu())
    shape = getattr(network(mx.nd.zeros((1, 3, crop, crop))), "shape", None)
    # oneDNN rearranges weights in place during the first forward pass. Weights that are read
    # before it is finished are wrong.
    mx.nd.waitall()
    if shape != (1, classes):
        raise ValueError(f"its output has shape {shape}, expected (1, {classes})")


def _zero_output_layer(network: Any) -> None:
    """Set the parameters of the output layer to zero, where it can learn from there.

    The output layer of SqueezeNet ends with a ReLU, whose gradient at zero is zero.
    """
    _, output = layers_and_output(network)
    if not any(isinstance(child, nn.Activation) for child in output._children.values()):
        for parameter in output.collect_params().values():
            parameter.set_data(mx.nd.zeros(parameter.shape))


def _fix_input_statistics(network: Any) -> None:
    """Let a batch normalisation of the input use its running statistics in training, too.

    ResNet v2 begins with one that has no trained parameters. MXNet updates running
    statistics in the backward pass, which does not reach this layer on the CPU:
    training and evaluation would normalise differently.
    """
    first = next(iter(getattr(network, "features", network)._children.values()), None)
    if isinstance(first, nn.BatchNorm):
        first._kwargs["use_global_stats"] = True


def pool_globally(block: Any) -> None:
    """Replace average pooling before Flatten or Dropout by global average pooling.

    The zoos pool over a fixed window, which covers the whole feature map only for
    their default crops. Smaller crops would fail, and of larger ones the border would
    be ignored. Pooling layers have no parameters, so that parameters of the stock
    network still fit.
    """
    children = list(block._children.items())
    for (name, child), (_, following) in zip(children, children[1:]):
        if isinstance(child, nn.AvgPool2D) and isinstance(following, (nn.Flatten, nn.Dropout)):
            block._children[name] = nn.GlobalAvgPool2D()
    for child in list(block._children.values()):
        pool_globally(child)


def load_pretrained(network: Any, file: Path) -> None:
    """Set the parameters of a network from a .params file.

    The output layer keeps its values if the file has none for it, or if the file has
    another number of classes. Position embeddings for another size of images are
    interpolated. All shapes of ``network`` must be known. Raises WeightsError, which
    names the parameter, if any other parameter is missing, unknown or of another shape.
    """
    weights = with_positions(file, read_parameters(file), parameter_shapes(network))
    parameters = network._collect_params_with_prefix()
    missing = parameters.keys() - weights.keys()
    lacks_output = missing == output_names(network)
    check_names(file, weights, parameters.keys() - (missing if lacks_output else set()))
    unequal = [name for name in weights if weights[name].shape != parameters[name].shape]
    _check_only_output_differs(file, unequal, weights, parameters)
    for name in weights.keys() - set(unequal):
        parameters[name].set_data(mx.nd.array(weights[name]))


def set_parameters(network: Any, parameters: Mapping[str, np.ndarray]) -> None:
    """Set all parameters of a network from arrays by name. Raises KeyError for a missing one."""
    for name, parameter in network._collect_params_with_prefix().items():
        parameter.set_data(mx.nd.array(parameters[name]))


def parameter_shapes(network: Any) -> dict[str, tuple[int, ...]]:
    """The shapes of all parameters of a network by name."""
    parameters = network._collect_params_with_prefix()
    return {name: parameter.shape for name, parameter in parameters.items()}


def output_names(network: Any) -> set[str]:
    """The names of the output layer's parameters; empty if the layer cannot be identified."""
    try:
        _, output = layers_and_output(network)
    except ConfigError:
        return set()
    output_ids = {id(parameter) for parameter in output.collect_params().values()}
    parameters = network._collect_params_with_prefix()
    return {name for name, parameter in parameters.items() if id(parameter) in output_ids}


def load_parameters(network: Any, file: Path, contexts: Sequence[Any]) -> None:
    """Load all parameters from a .params file. Raises WeightsError unless they fit exactly.

    Position embeddings for another size of images are interpolated.
    """
    shapes = parameter_shapes(network)
    weights = with_positions(file, read_parameters(file), shapes)
    check_fit(file, weights, shapes)
    network.collect_params().reset_ctx(list(contexts))
    set_parameters(network, weights)


def _stock_network(name: str, options: NetworkOptions) -> Any:
    if name in NETWORKS:
        _check_drop_path(name, options.drop_path)
        return NETWORKS[name](options)
    network = _zoo_network(name, options.classes)
    _check_drop_path(name, options.drop_path)
    network.apply(_clip_quickly)
    pool_globally(network)
    return network


def _clip_quickly(block: Any) -> None:
    """Let the ReLU6 of Gluon and GluonCV, which have a class each, compute as our own does."""
    if type(block).__name__ in ("RELU6", "ReLU6"):
        block.hybrid_forward = relu6


def _stop_dropping_blocks(block: Any) -> None:
    """Turn off DropBlock, which the ResNeSts of GluonCV apply with probability 0.1.

    Its layers read MXNet's training mode only while they are traced: a hybridized network
    that was traced in training would drop blocks in every prediction, too. They also
    accept crops of 224 pixels alone.
    """
    if isinstance(block, import_gluoncv().nn.dropblock.DropBlock):
        block.drop_prob = 0


def _check_drop_path(name: str, drop_path: float) -> None:
    if drop_path and name not in WITH_DROP_PATH:
        raise ConfigError(
            f"model.drop_path: {drop_path:g} has no effect on {name}, which leaves out no "
            "residual branches",
            f"Set it to 0 or choose another model.name, for instance {next(iter(WITH_DROP_PATH))}",
        )


def _zoo_network(name: str, classes: int) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if name in _gluon_names():
            return mx.gluon.model_zoo.vision.get_model(name, classes=classes)
        if name in _gluoncv_names():
            network = import_gluoncv().model_zoo.get_model(name, classes=classes)
            return network.apply(_stop_dropping_blocks)
    raise ConfigError(f"model.name: unknown network '{name}'", _nearest_network(name))


def _nearest_network(name: str) -> str:
    meant = closest_network(name, network_names())
    return f"Did you mean '{meant}'?" if meant else "For instance resnet50_v2 or mobilenetv2_1.0"


def _gluon_names() -> set[str]:
    """The names of the networks of Gluon's model zoo.

    Gluon's table is local to a function, whose error for an unknown name lists it.
    """
    try:
        mx.gluon.model_zoo.vision.get_model("")
    except ValueError as error:
        return set(str(error).split("\n\t")[1:])
    return set()


def _gluoncv_names() -> set[str]:
    names = import_gluoncv().model_zoo.get_model_list()
    return {name for name in names if not NOT_CLASSIFIERS.search(name)}


def _check_only_output_differs(
    file: Path, unequal: list[str], weights: Mapping[str, np.ndarray], parameters: Mapping[str, Any]
) -> None:
    """Raise WeightsError unless the shapes differ only in the number of classes of one layer."""
    layers = {name.rpartition(".")[0] for name in unequal}
    inner = [name for name in unequal if weights[name].shape[1:] != parameters[name].shape[1:]]
    if len(layers) > 1 or inner:
        name = (inner or unequal)[0]
        raise WeightsError(
            f"{file}: {name} has shape {weights[name].shape}, expected {parameters[name].shape}",
            "Is the file for another network or another data.crop?",
        )
