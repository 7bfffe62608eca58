"""MXNet's operators in PyTorch: for each node of a graph, a function and its constants.

Batch normalisation is not here: the network keeps its running statistics.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import torch
from torch.nn import functional as F  # noqa: N812 - PyTorch's name for it

from fashionai.models.merging import OF_RELU
from fashionai.models.torch import layers, pooling, shapes
from fashionai.models.torch.attributes import Attributes, unsupported


class Call(NamedTuple):
    """A call of ``function`` with the inputs of a node and ``constants``.

    With ``trains`` the next argument says whether the network is in training mode.
    ``outputs`` is 0 for a function that returns a tensor, otherwise the length of its tuple.
    """

    function: Callable[..., Any]
    constants: dict[str, Any] = {}  # noqa: RUF012 - never changed
    trains: bool = False
    outputs: int = 0


Builder = Callable[[Attributes], Call]


def call_of(attributes: Attributes) -> Call:
    """The call that computes a node. Raises ConfigError if PyTorch cannot compute it."""
    name = attributes.operator
    if name in PLAIN:
        return Call(PLAIN[name])
    if name in SCALARS:
        return Call(SCALARS[name], {"other": attributes.number("scalar")})
    if name not in BUILDERS:
        raise unsupported(name, attributes.node)
    return BUILDERS[name](attributes)


def _convolution(given: Attributes) -> Call:
    kernel = given.integers("kernel")
    given.only("layout", *{1: ("NCW",), 3: ("NCDHW",)}.get(len(kernel), ("NCHW",)), "None")
    return Call(
        layers.convolution,
        {
            "stride": given.integers("stride", (1,) * len(kernel)),
            "padding": given.integers("pad", (0,) * len(kernel)),
            "dilation": given.integers("dilate", (1,) * len(kernel)),
            "groups": given.integer("num_group", 1),
        },
    )


def _deconvolution(given: Attributes) -> Call:
    given.only("layout", "NCHW", "None")
    if given.integers("target_shape"):
        raise given.unsupported("target_shape")
    if len(given.integers("kernel")) != 2:
        raise given.unsupported("kernel")
    return Call(
        layers.transposed_convolution,
        {
            "stride": given.integers("stride", (1, 1)),
            "padding": given.integers("pad", (0, 0)),
            "output_padding": given.integers("adj", (0, 0)),
            "dilation": given.integers("dilate", (1, 1)),
            "groups": given.integer("num_group", 1),
        },
    )


def _pooling(given: Attributes) -> Call:
    given.only("layout", "NCHW", "None")
    kind = given.only("pool_type", "max", "avg", "sum")
    if given.flag("global_pool"):
        return Call(pooling.global_pooling, {"kind": kind})
    kernel = given.integers("kernel")
    if len(kernel) != 2:
        raise given.unsupported("kernel")
    windows = {
        "kernel": kernel,
        "stride": given.integers("stride", (1, 1)),
        "pad": given.integers("pad", (0, 0)),
        "full": given.only("pooling_convention", "valid", "full") == "full",
    }
    if kind == "avg":
        windows["include_pad"] = given.flag("count_include_pad", True)
        return Call(pooling.average_pooling, windows)
    return Call(pooling.max_pooling if kind == "max" else pooling.sum_pooling, windows)


def _adaptive(given: Attributes) -> Call:
    size = given.integers("output_size", (1,))
    return Call(layers.adaptive_average, {"size": size * 2 if len(size) == 1 else size})


def _bilinear(given: Attributes) -> Call:
    mode = given.only("mode", "size", "like")
    factors = [
        None if given.text(name, "None") == "None" else given.number(name)
        for name in ("scale_height", "scale_width")
    ]
    return Call(
        pooling.bilinear,
        {
            "size": (given.integer("height", 1), given.integer("width", 1)),
            "factors": tuple(factors) if mode == "size" else (None, None),
            "align_corners": given.flag("align_corners", True),
        },
    )


def _activation(given: Attributes) -> Call:
    kinds = {
        "relu": torch.relu,
        "sigmoid": torch.sigmoid,
        "tanh": torch.tanh,
        "softrelu": layers.soft_relu,
        "softsign": F.softsign,
    }
    return Call(kinds[given.only("act_type", *kinds)])


def _leaky(given: Attributes) -> Call:
    kind = given.only("act_type", "leaky", "elu", "selu", "gelu", "prelu", "rrelu")
    slope = given.number("slope", 0.25)
    bounds = {
        "lower": given.number("lower_bound", 0.125),
        "upper": given.number("upper_bound", 0.334),
    }
    return {
        "leaky": Call(layers.leaky, {"slope": slope}),
        "elu": Call(layers.elu, {"alpha": slope}),
        "selu": Call(torch.selu),
        "gelu": Call(F.gelu),
        "prelu": Call(layers.parametric_relu),
        "rrelu": Call(layers.random_leaky, bounds, trains=True),
    }[kind]


def _dropout(given: Attributes) -> Call:
    mode = given.only("mode", "training", "always")
    constants = {
        "p": given.number("p", 0.5),
        "axes": given.integers("axes"),
        "always": mode == "always",
    }
    return Call(layers.dropout, constants, trains=True)


def _softmax(given: Attributes) -> Call:
    given.only("use_length", "False", "0")
    temperature = "1" if given.text("temperature", "None") == "None" else given.text("temperature")
    return Call(
        layers.softmax,
        {
            "axis": given.integer("axis", -1),
            "temperature": float(temperature),
            "logarithm": given.operator == "log_softmax",
        },
    )


def _pad(given: Attributes) -> Call:
    mode = given.only("mode", "constant", "edge", "reflect")
    widths = given.integers("pad_width")
    pairs = list(zip(widths[::2], widths[1::2]))
    if mode != "constant":
        # MXNet pads the last axes alone, PyTorch as many as the padding has pairs.
        if any(pairs[0] + pairs[1]):
            raise given.unsupported("pad_width")
        pairs = pairs[2:]
    return Call(
        shapes.pad,
        {
            "mode": {"edge": "replicate"}.get(mode, mode),
            "widths": tuple(width for pair in reversed(pairs) for width in pair),
            "value": given.number("constant_value"),
        },
    )


def _slice(given: Attributes) -> Call:
    names = ("begin", "end", "step")
    return Call(shapes.slice_all, {name: given.optionals(name) for name in names})


def _slice_axis(given: Attributes) -> Call:
    constants = {"axis": given.integer("axis"), "begin": given.integer("begin")}
    return Call(shapes.slice_axis, {**constants, "end": given.optional_integer("end")})


def _split(given: Attributes) -> Call:
    parts = given.integer("num_outputs")
    axis, squeeze = given.integer("axis", 1), given.flag("squeeze_axis")
    constants = {"parts": parts, "axis": axis, "squeeze": squeeze}
    return Call(shapes.split, constants, outputs=parts)


def _reduction(given: Attributes) -> Call:
    return Call(
        shapes.reduction,
        {
            "kind": given.operator,
            "axes": given.integers("axis"),
            "keep": given.flag("keepdims"),
            "others": given.flag("exclude"),
        },
    )


def _batch_product(given: Attributes) -> Call:
    flip = given.flag("transpose_a"), given.flag("transpose_b")
    return Call(layers.batch_product, {"flip": flip})


def _layer_norm(given: Attributes) -> Call:
    constants = {"axis": given.integer("axis", -1), "eps": given.number("eps", 1e-5)}
    return Call(layers.layer_norm, constants)


def _concatenation(given: Attributes) -> Call:
    return Call(shapes.concatenate, {"axis": given.integer("dim", 1)})


def _clip(given: Attributes) -> Call:
    """In MXNet the ends of the range pass gradients; at 0 those of a ReLU do not."""
    least, most = given.number("a_min"), given.number("a_max")
    below = least if given.flag(OF_RELU) else _neighbour(least, -np.inf)
    passing = (below, _neighbour(most, np.inf))
    return Call(layers.clip, {"least": least, "most": most, "passing": passing})


def _neighbour(value: float, towards: float) -> float:
    """The next normal value of float32. No float16 or bfloat16 value lies between the two."""
    if value == 0:
        return float(np.copysign(np.finfo(np.float32).tiny, towards))
    return float(np.nextafter(np.float32(value), np.float32(towards)))


def _hard_sigmoid(given: Attributes) -> Call:
    constants = {"alpha": given.number("alpha", 0.2), "beta": given.number("beta", 0.5)}
    return Call(layers.hard_sigmoid, constants)


def _from_scalar(kind: str) -> Builder:
    return lambda given: Call(layers.from_scalar, {"kind": kind, "scalar": given.number("scalar")})


# Operators whose inputs are the arguments of the function.
PLAIN: dict[str, Callable[..., Any]] = {
    "Flatten": shapes.flatten,
    "relu": torch.relu,
    "sigmoid": torch.sigmoid,
    "tanh": torch.tanh,
    "exp": torch.exp,
    "log": torch.log,
    "sqrt": torch.sqrt,
    "rsqrt": torch.rsqrt,
    "square": torch.square,
    "abs": torch.abs,
    "negative": torch.neg,
    "erf": torch.erf,
    "softsign": F.softsign,
    "ones_like": torch.ones_like,
    "zeros_like": torch.zeros_like,
    "BlockGrad": torch.detach,
    "_copy": torch.clone,
    "_contrib_div_sqrt_dim": layers.scaled_by_width,
    **dict.fromkeys(("elemwise_add", "broadcast_add"), operator.add),
    **dict.fromkeys(("elemwise_sub", "broadcast_sub"), operator.sub),
    **dict.fromkeys(("elemwise_mul", "broadcast_mul"), operator.mul),
    **dict.fromkeys(("elemwise_div", "broadcast_div"), operator.truediv),
    **dict.fromkeys(("_maximum", "broadcast_maximum"), torch.maximum),
    **dict.fromkeys(("_minimum", "broadcast_minimum"), torch.minimum),
}

# Operators of one input and a number.
SCALARS: dict[str, Callable[..., Any]] = {
    "_plus_scalar": torch.add,
    "_minus_scalar": torch.sub,
    "_mul_scalar": torch.mul,
    "_div_scalar": torch.div,
}

BUILDERS: dict[str, Builder] = {
    "Activation": _activation,
    "Concat": _concatenation,
    "Convolution": _convolution,
    "Deconvolution": _deconvolution,
    "Dropout": _dropout,
    "FullyConnected": lambda given: Call(layers.dense, {"flat": given.flag("flatten", True)}),
    "InstanceNorm": lambda given: Call(layers.instance_norm, {"eps": given.number("eps", 1e-3)}),
    "LayerNorm": _layer_norm,
    "LeakyReLU": _leaky,
    "Pad": _pad,
    "Pooling": _pooling,
    "Reshape": lambda given: Call(
        shapes.reshape, {"shape": given.integers("shape"), "reverse": given.flag("reverse")}
    ),
    "SliceChannel": _split,
    "SwapAxis": lambda given: Call(
        torch.transpose, {"dim0": given.integer("dim1"), "dim1": given.integer("dim2")}
    ),
    "_contrib_AdaptiveAvgPooling2D": _adaptive,
    "_contrib_BilinearResize2D": _bilinear,
    "_maximum_scalar": lambda given: Call(torch.clamp, {"min": given.number("scalar")}),
    "_minimum_scalar": lambda given: Call(torch.clamp, {"max": given.number("scalar")}),
    "_power_scalar": lambda given: Call(torch.pow, {"exponent": given.number("scalar")}),
    "_rdiv_scalar": _from_scalar("divide"),
    "_rminus_scalar": _from_scalar("minus"),
    "_rpower_scalar": _from_scalar("power"),
    "batch_dot": _batch_product,
    "clip": _clip,
    "expand_dims": lambda given: Call(torch.unsqueeze, {"dim": given.integer("axis")}),
    "hard_sigmoid": _hard_sigmoid,
    "log_softmax": _softmax,
    "slice": _slice,
    "slice_axis": _slice_axis,
    "softmax": _softmax,
    "squeeze": lambda given: Call(shapes.squeeze, {"axes": given.integers("axis")}),
    "stack": lambda given: Call(shapes.stack, {"axis": given.integer("axis")}),
    "transpose": lambda given: Call(shapes.transpose, {"axes": given.integers("axes")}),
    **dict.fromkeys(("sum", "mean", "max", "min"), _reduction),
}
