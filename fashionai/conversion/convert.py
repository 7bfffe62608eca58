"""Tensors of PyTorch networks to the parameters of Gluon's, and back."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from fashionai.conversion.extra_layers import EXTRA_LAYERS
from fashionai.conversion.names import Layout, layouts
from fashionai.errors import WeightsError
from fashionai.normalization import Channels

# What PyTorch calls the two that are trained of a normalisation's four parameters.
TORCH_SUFFIXES = {"gamma": "weight", "beta": "bias"}
LAYER_KINDS = (
    {"weight"},
    {"weight", "bias"},
    {"gamma", "beta", "running_mean", "running_var"},
)
# How many batches a normalisation has seen, from which nothing is computed.
COUNTER = "num_batches_tracked"


@dataclass(frozen=True)
class TorchNetwork:
    """A network for PyTorch: its tensors by name, float32, and its input's normalisation.

    ``library`` and ``network`` tell what loads the tensors. The input is RGB in
    [0, 1], less ``mean`` and over ``std``, a number a channel.
    """

    library: str
    network: str
    tensors: dict[str, np.ndarray]
    mean: tuple[float, ...]
    std: tuple[float, ...]


def convert(
    model: str, tensors: Mapping[str, np.ndarray], shapes: Mapping[str, Sequence[int]]
) -> dict[str, np.ndarray]:
    """The parameters, float32, of a Gluon network from the tensors of its counterpart.

    ``shapes`` are those of the Gluon network for crops of 224 pixels, by the
    names of ``_collect_params_with_prefix``; the number of classes is the tensors'.
    The output layer is left out of the result if there are no tensors for it, or
    if they have a bias and Gluon's layer has none.
    Raises WeightsError that names a tensor that is missing, left over, of another
    shape or not finite.
    """
    left = {_modern(name): tensor for name, tensor in tensors.items() if COUNTER not in name}
    layout = _fitting_layout(model, left)
    _settle_output_bias(layout, left, shapes)
    sources = _sources(model, layout, shapes, with_output=_has_output(layout, left))
    missing = [source for source in sources.values() if source not in left]
    if missing:
        raise WeightsError(f"{few(missing)} of {layout.network} not found", _is_it_for(model))
    parameters = {
        name: _fitted(source, left.pop(source), _shape(name, layout, shapes))
        for name, source in sources.items()
    }
    if left:
        raise WeightsError(f"{layout.network} has no {few(left)}", _is_it_for(model))
    if model in EXTRA_LAYERS:
        EXTRA_LAYERS[model].add(parameters)
    return parameters


def to_torch(
    model: str,
    parameters: Mapping[str, np.ndarray],
    mean: Channels,
    std: Channels,
) -> TorchNetwork:
    """The counterpart of a Gluon network with these parameters, by Gluon's names.

    ``mean`` and ``std`` of each channel normalise the Gluon network's input. Raises
    WeightsError for a network without a counterpart, for parameters that are not
    this network's, and if the counterpart cannot compute the same.
    """
    layout = layouts(model)[0]
    left = {name: np.asarray(value) for name, value in parameters.items()}
    new_mean, new_std = mean, std
    if model in EXTRA_LAYERS:
        try:
            new_mean, new_std = EXTRA_LAYERS[model].remove(left, new_mean, new_std)
        except KeyError as error:
            raise WeightsError(f"{error.args[0]} of {model} not found") from None
    _check_layers(model, layout, left)
    tensors = {_torch_name(layout, name): value for name, value in left.items()}
    output = layout.layers[layout.output]
    weight = tensors[f"{output}.weight"]
    tensors[f"{output}.weight"] = weight.reshape(
        *weight.shape[:2], *(1,) * (layout.output_rank - 2)
    )
    tensors.setdefault(f"{output}.bias", np.zeros(len(weight)))
    return TorchNetwork(
        layout.library,
        layout.network,
        {name: np.ascontiguousarray(value, np.float32) for name, value in tensors.items()},
        tuple(new_mean),
        tuple(new_std),
    )


def few(names: Iterable[str]) -> str:
    """The first names of many."""
    names = list(names)
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")


def _modern(name: str) -> str:
    """DenseNets were saved with a dot more once: denselayer1.norm.1 is denselayer1.norm1."""
    return re.sub(r"(denselayer\d+\.(?:norm|conv))\.(?=[12]\.)", r"\1", name)


def _fitting_layout(model: str, tensors: Iterable[str]) -> Layout:
    """The layout that knows most of the names."""
    layers = {name.rpartition(".")[0] for name in tensors}
    return max(layouts(model), key=lambda layout: len(layers & set(layout.layers.values())))


def _settle_output_bias(
    layout: Layout, tensors: dict[str, np.ndarray], shapes: Mapping[str, Sequence[int]]
) -> None:
    """Drop what Gluon's output layer cannot hold: weights without their bias would mislead."""
    output = layout.layers[layout.output]
    if f"{layout.output}.bias" in shapes or f"{output}.bias" not in tensors:
        return
    if np.any(tensors.pop(f"{output}.bias")):
        tensors.pop(f"{output}.weight", None)


def _has_output(layout: Layout, tensors: Iterable[str]) -> bool:
    return any(name.startswith(f"{layout.layers[layout.output]}.") for name in tensors)


def _sources(
    model: str, layout: Layout, shapes: Iterable[str], with_output: bool
) -> dict[str, str]:
    """The tensor's name for each of Gluon's parameters that has one."""
    layers = {name.rpartition(".")[0] for name in shapes}
    absent = layout.layers.keys() - layers
    if absent:
        raise ValueError(f"the shapes are not those of {model}: {few(sorted(absent))} not found")
    return {
        name: _torch_name(layout, name)
        for name in shapes
        if name.rpartition(".")[0] in layout.layers
        and (with_output or not name.startswith(f"{layout.output}."))
    }


def _torch_name(layout: Layout, name: str) -> str:
    layer, _, suffix = name.rpartition(".")
    return f"{layout.layers[layer]}.{TORCH_SUFFIXES.get(suffix, suffix)}"


def _shape(name: str, layout: Layout, shapes: Mapping[str, Sequence[int]]) -> tuple[int, ...]:
    """A parameter's shape, with -1 for a number of classes."""
    shape = tuple(shapes[name])
    return (-1, *shape[1:]) if name.startswith(f"{layout.output}.") else shape


def _fitted(source: str, tensor: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """A tensor as float32 in Gluon's shape, which differs for dense layers made convolutions."""
    wanted = (*tensor.shape[:1], *shape[1:]) if shape[0] == -1 else shape
    dense = {tensor.ndim, len(wanted)} == {2, 4} and tensor.shape[0] == wanted[0]
    if tensor.shape != wanted and not (dense and tensor.size == np.prod(wanted)):
        text = str(shape).replace("-1", "classes")
        raise WeightsError(f"{source} has shape {tensor.shape}, expected {text}")
    with np.errstate(over="ignore"):
        values = np.array(tensor, np.float32).reshape(wanted)
    if not np.isfinite(values).all():
        raise WeightsError(f"{source} holds numbers that are not finite")
    return values


def _check_layers(model: str, layout: Layout, parameters: Iterable[str]) -> None:
    """Every layer with all its parameters, and no other."""
    found: dict[str, set[str]] = {layer: set() for layer in layout.layers}
    for name in parameters:
        layer, _, suffix = name.rpartition(".")
        if layer not in found:
            raise WeightsError(f"{model} has no {name}")
        found[layer].add(suffix)
    for layer, suffixes in found.items():
        if suffixes not in LAYER_KINDS:
            raise WeightsError(
                f"{layer} of {model} has {', '.join(sorted(suffixes)) or 'no parameters'}, "
                "expected weight, weight and bias, or the four of a normalisation"
            )


def _is_it_for(model: str) -> str:
    return f"Is it for another network than {model}?"
