"""Conversion of PyTorch tensors to Gluon parameters, and back."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from fashionai.conversion.extra_layers import EXTRA_LAYERS
from fashionai.conversion.layouts.registry import layouts
from fashionai.conversion.names import Layout
from fashionai.conversion.positions import is_positions
from fashionai.errors import WeightsError, list_names
from fashionai.normalization import Channels

# PyTorch's names of the trained parameters of normalisations, by Gluon's.
TORCH_SUFFIXES = {"gamma": "weight", "beta": "bias"}
# The parameters that a layer may have, by Gluon's names.
LAYER_PARAMETERS = (
    {"weight"},
    {"weight", "bias"},
    {"gamma", "beta"},
    {"gamma", "beta", "running_mean", "running_var"},
)
# PyTorch counts the batches of each batch normalisation; the outputs do not depend on it.
BATCH_COUNTER = "num_batches_tracked"


@dataclass(frozen=True)
class TorchNetwork:
    """Weights of a PyTorch network: float32 tensors by name, and the normalisation of its input.

    ``library`` and ``network`` name the architecture that loads the tensors. The
    input is ``(x - mean) / std`` for RGB values x in [0, 1], with one mean and one
    standard deviation per channel.
    """

    library: str
    network: str
    tensors: dict[str, np.ndarray]
    mean: tuple[float, ...]
    std: tuple[float, ...]


def convert(
    model: str, tensors: Mapping[str, np.ndarray], shapes: Mapping[str, Sequence[int]]
) -> dict[str, np.ndarray]:
    """Convert the tensors of a PyTorch network to float32 parameters of a Gluon network.

    ``shapes`` are the parameter shapes of the Gluon network for crops of 224 pixels,
    by the names of ``_collect_params_with_prefix``. The number of classes and the number
    of tokens of a position embedding are taken from the tensors. The result has no output
    layer if the tensors have none, or if theirs has a bias that is not zero and Gluon's
    has no bias.

    Raises WeightsError, which names the tensor, if one is missing, unexpected, not
    finite or of another shape.
    """
    unused = {
        _current_name(name): tensor for name, tensor in tensors.items() if BATCH_COUNTER not in name
    }
    layout = _best_layout(model, unused)
    _drop_unusable_output(layout, unused, shapes)
    torch_names = _torch_names(model, layout, shapes, with_output=_has_output(layout, unused))
    missing = [name for name in torch_names.values() if name not in unused]
    if missing:
        raise WeightsError(
            f"{list_names(missing)} of {layout.network} not found", _other_network_hint(model)
        )
    parameters = {
        name: _to_float32(torch_name, unused.pop(torch_name), _shape(name, layout, shapes))
        for name, torch_name in torch_names.items()
    }
    if unused:
        raise WeightsError(
            f"{layout.network} has no {list_names(unused)}", _other_network_hint(model)
        )
    if layout.rotated:
        parameters = {name: _rotated(value) for name, value in parameters.items()}
    if model in EXTRA_LAYERS:
        EXTRA_LAYERS[model].add(parameters)
    return parameters


def to_torch(
    model: str,
    parameters: Mapping[str, np.ndarray],
    mean: Channels,
    std: Channels,
) -> TorchNetwork:
    """Convert the parameters of a Gluon network, by Gluon's names, to a PyTorch network.

    ``mean`` and ``std``, one number per channel, normalise the input of the Gluon
    network. Raises WeightsError if the network has no PyTorch counterpart, if the
    parameters are those of another network, or if the counterpart cannot compute
    the same outputs.
    """
    layout = layouts(model)[0]
    values = {name: np.asarray(value) for name, value in parameters.items()}
    if layout.rotated:
        values = {name: _rotated(value) for name, value in values.items()}
    new_mean, new_std = mean, std
    if model in EXTRA_LAYERS:
        try:
            new_mean, new_std = EXTRA_LAYERS[model].remove(values, new_mean, new_std)
        except KeyError as error:
            raise WeightsError(f"{error.args[0]} of {model} not found") from None
    _check_layers(model, layout, values)
    for layer, rank in layout.ranks.items():
        weight = values[f"{layer}.weight"]
        # Weights of a 1x1 convolution have two more axes than those of a dense layer.
        values[f"{layer}.weight"] = weight.reshape(weight.shape[:2] + (1,) * (rank - 2))
    tensors = {_torch_name(layout, name): value for name, value in values.items()}
    output = layout.layers[layout.output]
    tensors.setdefault(f"{output}.bias", np.zeros(len(tensors[f"{output}.weight"])))
    return TorchNetwork(
        layout.library,
        layout.network,
        {name: np.ascontiguousarray(value, np.float32) for name, value in tensors.items()},
        tuple(new_mean),
        tuple(new_std),
    )


def _current_name(name: str) -> str:
    """Rename the layers of old DenseNet files: denselayer1.norm.1 is now denselayer1.norm1."""
    return re.sub(r"(denselayer\d+\.(?:norm|conv))\.(?=[12]\.)", r"\1", name)


def _best_layout(model: str, tensors: Iterable[str]) -> Layout:
    """The layout that has the most layers in common with the names of the tensors."""
    layers = {name.rpartition(".")[0] for name in tensors}
    return max(layouts(model), key=lambda layout: len(layers & set(layout.layers.values())))


def _drop_unusable_output(
    layout: Layout, tensors: dict[str, np.ndarray], shapes: Mapping[str, Sequence[int]]
) -> None:
    """Remove the output layer if it has a bias and Gluon's does not.

    A bias of zeros is removed alone. Weights without their bias would give other
    predictions.
    """
    output = layout.layers[layout.output]
    if f"{layout.output}.bias" in shapes or f"{output}.bias" not in tensors:
        return
    if np.any(tensors.pop(f"{output}.bias")):
        tensors.pop(f"{output}.weight", None)


def _has_output(layout: Layout, tensors: Iterable[str]) -> bool:
    return any(name.startswith(f"{layout.layers[layout.output]}.") for name in tensors)


def _torch_names(
    model: str, layout: Layout, shapes: Iterable[str], with_output: bool
) -> dict[str, str]:
    """The name of the tensor for each Gluon parameter that is converted from one."""
    layers = {name.rpartition(".")[0] for name in shapes}
    absent = (layout.layers.keys() - layers) | (layout.parameters.keys() - set(shapes))
    if absent:
        raise ValueError(
            f"the shapes are not those of {model}: {list_names(sorted(absent))} not found"
        )
    return {
        name: _torch_name(layout, name)
        for name in shapes
        if (name in layout.parameters or name.rpartition(".")[0] in layout.layers)
        and (with_output or not name.startswith(f"{layout.output}."))
    }


def _torch_name(layout: Layout, name: str) -> str:
    if name in layout.parameters:
        return layout.parameters[name]
    layer, _, suffix = name.rpartition(".")
    return f"{layout.layers[layer]}.{TORCH_SUFFIXES.get(suffix, suffix)}"


def _shape(name: str, layout: Layout, shapes: Mapping[str, Sequence[int]]) -> tuple[int, ...]:
    """The shape of a parameter, with -1 for the number of classes or of position embeddings."""
    shape = tuple(shapes[name])
    if is_positions(name):
        return (shape[0], -1, *shape[2:])
    return (-1, *shape[1:]) if name.startswith(f"{layout.output}.") else shape


def _to_float32(name: str, tensor: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """A tensor as float32 in Gluon's shape.

    The shapes of a dense layer and of the equivalent convolution are converted into
    each other. Raises WeightsError for another shape or values that are not finite.
    """
    free = shape.index(-1) if -1 in shape else -1
    expected = shape
    if 0 <= free < tensor.ndim:
        expected = (*shape[:free], tensor.shape[free], *shape[free + 1 :])
    dense = {tensor.ndim, len(expected)} == {2, 4} and tensor.shape[0] == expected[0]
    if tensor.shape != expected and not (dense and tensor.size == np.prod(expected)):
        text = str(shape).replace("-1", "tokens" if free > 0 else "classes")
        raise WeightsError(f"{name} has shape {tensor.shape}, expected {text}")
    with np.errstate(over="ignore"):
        values = np.array(tensor, np.float32).reshape(expected)
    if not np.isfinite(values).all():
        raise WeightsError(f"{name} contains values that are not finite")
    return values


def _rotated(parameter: np.ndarray) -> np.ndarray:
    """Kernels ``(N, C, H, W)`` rotated by 180 degrees; other parameters as they are."""
    return np.ascontiguousarray(parameter[:, :, ::-1, ::-1]) if parameter.ndim == 4 else parameter


def _check_layers(model: str, layout: Layout, parameters: Collection[str]) -> None:
    """Raise WeightsError unless the parameters are exactly those of the layout."""
    found: dict[str, set[str]] = {layer: set() for layer in layout.layers}
    missing = [name for name in layout.parameters if name not in parameters]
    if missing:
        raise WeightsError(f"{list_names(missing)} of {model} not found")
    for name in parameters:
        if name in layout.parameters:
            continue
        layer, _, suffix = name.rpartition(".")
        if layer not in found:
            raise WeightsError(f"{model} has no {name}")
        found[layer].add(suffix)
    for layer, suffixes in found.items():
        if suffixes not in LAYER_PARAMETERS:
            raise WeightsError(
                f"{layer} of {model} has {', '.join(sorted(suffixes)) or 'no parameters'}, "
                "expected weight, weight and bias, or the parameters of a normalisation"
            )


def _other_network_hint(model: str) -> str:
    return f"Is the file for another network than {model}?"
