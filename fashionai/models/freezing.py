"""Freezing layers: training all of them, the output layer, or the output and the last stage."""

from __future__ import annotations

from typing import Any, Optional

from fashionai.errors import ConfigError
from fashionai.frameworks.mxnet import import_mxnet

mx = import_mxnet()

# The last parts of the names of the running statistics of batch normalisation.
STATISTICS = ("running_mean", "running_var")


def freeze(network: Any, trainable: str, crop: int) -> None:
    """Freeze all layers but those that ``trainable`` names: all, last-stage or head.

    Frozen layers of batch normalisation use their running statistics in training,
    too. The last stage begins with the layer that the network names in ``last_stage``, its
    position in ``features``, otherwise with the layer that reduces the image to its smallest
    resolution before pooling. All parameters must be initialised. Raises ConfigError
    as layers_and_output does.
    """
    if trainable == "all":
        return
    layers, _ = layers_and_output(network)
    first = len(layers)
    if trainable == "last-stage":
        named: Optional[int] = getattr(network, "last_stage", None)
        first = _last_stage(layers, crop) if named is None else named
    for layer in layers[:first]:
        _freeze_block(layer)


def set_layer_rates(network: Any, head_factor: float, decay: float, crop: int) -> None:
    """Set the learning rates of layers as multiples of that of the optimizer.

    The output layer has ``head_factor``. The stages before it, see stages, have ``decay`` raised
    to their distance from the output layer: the last one ``decay``, the one before ``decay ** 2``
    and so on (layer-wise decay, arXiv:1801.06146, arXiv:2106.08254). All parameters must be
    initialised. Raises ConfigError as layers_and_output does.
    """
    if head_factor != 1:
        _, output = layers_and_output(network)
        _set_rate(output, head_factor)
    if decay != 1:
        for distance, stage in enumerate(reversed(stages(network, crop)), start=1):
            for layer in stage:
                _set_rate(layer, decay**distance)


def _set_rate(layer: Any, factor: float) -> None:
    for parameter in layer.collect_params().values():
        parameter.lr_mult = factor


def stages(network: Any, crop: int) -> list[list[Any]]:
    """The layers before the output layer in stages: layers of one resolution, or one of tokens.

    Layers after pooling belong to the last stage. Stages without parameters are left out.
    """
    layers, _ = layers_and_output(network)
    found: list[list[Any]] = []
    side, is_pooled = 0, False
    for layer, shape in zip(layers, _output_shapes(layers, crop)):
        is_pooled = is_pooled or (shape[-1] == 1 and not _has_parameters(layer))
        reduced = len(shape) == 4 and shape[-1] != side and not is_pooled
        if not found or reduced or len(shape) == 3:
            found.append([])
        found[-1].append(layer)
        if reduced:
            side = shape[-1]
    return [stage for stage in found if any(map(_has_parameters, stage))]


def _has_parameters(layer: Any) -> bool:
    # Gluon's dictionaries of parameters are true even if they are empty.
    return bool(list(layer.collect_params().keys()))


def moving_parameters(network: Any) -> dict[str, Any]:
    """The parameters that training changes, by name: trained ones and running statistics.

    Frozen layers of batch normalisation do not change their running statistics.
    """
    fixed = _fixed_statistics(network)
    return {
        name: parameter
        for name, parameter in network._collect_params_with_prefix().items()
        if parameter.grad_req != "null"
        or (name.endswith(STATISTICS) and id(parameter) not in fixed)
    }


def layers_and_output(network: Any) -> tuple[list[Any], Any]:
    """The layers of a network in their order, and its output layer, which computes the logits.

    Raises ConfigError if the output layer cannot be identified.
    """
    if hasattr(network, "features") and hasattr(network, "output"):
        return list(network.features._children.values()), network.output
    # GluonCV's ResNets have their layers as direct children; the last one is the dense layer.
    layers = list(network._children.values())
    if layers and isinstance(layers[-1], mx.gluon.nn.Dense):
        return layers[:-1], layers[-1]
    raise ConfigError(
        "trainable, optimizer.head_lr_factor, optimizer.layer_decay: the output layer of this "
        "network cannot be identified",
        "Set them to all, 1 and 1, or choose another model.name",
    )


def _freeze_block(block: Any) -> None:
    for parameter in block.collect_params().values():
        parameter.grad_req = "null"
    if isinstance(block, mx.gluon.nn.BatchNorm):
        block._kwargs["use_global_stats"] = True
    for child in block._children.values():
        _freeze_block(child)


def _fixed_statistics(block: Any) -> set[int]:
    if isinstance(block, mx.gluon.nn.BatchNorm):
        fixed = block._kwargs["use_global_stats"]
        return {id(block.running_mean), id(block.running_var)} if fixed else set()
    return set().union(*map(_fixed_statistics, block._children.values()))


def _last_stage(layers: list[Any], crop: int) -> int:
    """The first layer whose output has the resolution of the last feature map."""
    sides = [shape[-1] if len(shape) == 4 else 0 for shape in _output_shapes(layers, crop)]
    map_sides = [side for side in sides if side > 1]
    return sides.index(map_sides[-1]) if map_sides else len(layers)


def _output_shapes(layers: list[Any], crop: int) -> list[tuple[int, ...]]:
    """The shape of the output of each layer for one image; ConfigError if they are no chain."""
    hidden = mx.nd.zeros((1, 3, crop, crop), ctx=_context(layers))
    shapes = []
    try:
        for layer in layers:
            hidden = layer(hidden)
            shapes.append(hidden.shape)
    except mx.base.MXNetError:
        raise ConfigError(
            "trainable, optimizer.layer_decay: the layers of this network are no sequence",
            "Set them to all and 1, or choose another model.name",
        ) from None
    return shapes


def _context(layers: list[Any]) -> Any:
    for layer in layers:
        for parameter in layer.collect_params().values():
            return parameter.list_ctx()[0]
    return mx.cpu()
