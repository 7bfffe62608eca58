"""Converts a run's network to an ONNX model whose input is pixels and whose weights are constants.

mx.onnx lists the weights among the model's inputs. Here they become initializers, because ONNX
Runtime folds batch normalisation into convolutions only when the weights are constant.
"""

from __future__ import annotations

import ast
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Optional

import numpy as np

from fashionai.engines.pixel_graph import OUTPUT, pixel_graph
from fashionai.errors import InstallationError, WeightsError
from fashionai.frameworks.mxnet import import_mxnet
from fashionai.models.graph import INPUT, Graph
from fashionai.runs import Run

mx = import_mxnet()

INSTALL_HINT = "Run: pip install 'fashionai[onnx]'"
# The name of the model's input.
IMAGES = "images"
# The newest operator set that mx.onnx of MXNet 1.9.1 knows.
MXNET_OPERATOR_SET = 13
# The operator set of the models, the first with a layer normalisation, and an IR version that
# supports it. What mx.onnx writes means the same in both sets.
OPERATOR_SET, IR_VERSION = 17, 8

# What a converter of mx.onnx returns: ONNX nodes, and the dtypes of their outputs, None for that of
# the input.
Converted = tuple[list[Any], Optional[tuple[Any, ...]]]


def onnx_model(run: Run) -> bytes:
    """Convert a run's network to the content of an ONNX file.

    The input ``images`` is ``(N, crop, crop, 3) uint8`` RGB, the output ``probabilities`` is
    ``(N, C) float32``; the columns of each task sum to 1. Raises InstallationError when onnx is
    missing or too new, WeightsError when mx.onnx cannot convert the network, and errors of
    pixel_graph.
    """
    # Layers are numbered per name manager: with a new one, the same run gives the same bytes.
    with mx.name.NameManager():
        return to_onnx(pixel_graph(run), run.config.model.name, run.config.data.crop)


def to_onnx(graph: Graph, name: str, crop: int) -> bytes:
    """Convert the graph of the network ``name`` for images of ``crop`` pixels; see onnx_model."""
    onnx = _import_onnx()
    shape = (1, crop, crop, 3)
    symbol = _with_plain_reshapes(graph.symbol, shape)(**{INPUT: mx.sym.var(IMAGES)})
    weights = {**graph.arguments, **graph.statistics}
    for gamma in _fixed_gammas(symbol):
        weights[gamma] = mx.nd.ones_like(weights[gamma])
    try:
        converted = _convert(symbol, weights, shape)
    except (AttributeError, NotImplementedError, onnx.checker.ValidationError) as error:
        reason = str(error).splitlines()[0]
        raise WeightsError(
            f"{name}: MXNet cannot convert this network to ONNX ({reason})"
        ) from None
    _, (output_shape,), _ = symbol.infer_shape(**{IMAGES: shape})
    model = _model_of(converted, name, weights, shape, output_shape)
    content: bytes = model.SerializeToString()
    return content


def _model_of(
    converted: Any,
    name: str,
    weights: dict[str, Any],
    input_shape: Sequence[int],
    output_shape: Sequence[int],
) -> Any:
    """The ONNX model of a converted graph, with the weights as initializers."""
    import onnx

    types, describe = onnx.TensorProto, onnx.helper.make_tensor_value_info
    # mx.onnx also writes constants that no node reads, and ONNX Runtime warns about each of them.
    read = {each for node in converted.node for each in node.input}
    graph = onnx.helper.make_graph(
        converted.node,
        name,
        [describe(IMAGES, types.UINT8, ["N", *input_shape[1:]])],
        [describe(OUTPUT, types.FLOAT, ["N", *output_shape[1:]])],
        [constant for constant in converted.initializer if constant.name in read],
    )
    for weight, values in weights.items():
        graph.initializer.append(onnx.numpy_helper.from_array(values.asnumpy(), weight))
    operators = [onnx.helper.make_opsetid("", OPERATOR_SET)]
    return onnx.helper.make_model(
        graph, producer_name="fashionai", opset_imports=operators, ir_version=IR_VERSION
    )


def _import_onnx() -> Any:
    """Import onnx; InstallationError when it is missing or too new for mx.onnx."""
    try:
        import onnx
    except ImportError:
        raise InstallationError("onnx is not installed", INSTALL_HINT) from None
    if not hasattr(onnx, "mapping"):  # MXNet 1.9.1 uses it; onnx 1.17 removed it
        raise InstallationError(
            f"onnx {onnx.__version__} is installed, MXNet 1.9.1 needs a version below 1.17",
            INSTALL_HINT,
        )
    return onnx


def _with_plain_reshapes(symbol: Any, images: Sequence[int]) -> Any:
    """Replace the shape codes that ONNX lacks (copy, merge and split axes) by the actual sizes."""
    description = json.loads(symbol.tojson())
    inner = symbol.get_internals()
    _, shapes, _ = inner.infer_shape(**{INPUT: images})
    shape_of = dict(zip(inner.list_outputs(), shapes))
    for node in description["nodes"]:
        if node["op"] != "Reshape":
            continue
        codes = ast.literal_eval(node["attrs"]["shape"])
        # The first axis stays variable: the number of images, or of their attention heads.
        if codes[0] <= 0 and min(codes) < -1:
            node["attrs"]["shape"] = str((-1, *shape_of[f"{node['name']}_output"][1:]))
    return mx.sym.load_json(json.dumps(description))


def _fixed_gammas(symbol: Any) -> list[str]:
    """Names of the gammas of batch normalisation that MXNet treats as 1, whatever they hold."""
    nodes = json.loads(symbol.tojson())["nodes"]
    return [
        nodes[node["inputs"][1][0]]["name"]
        for node in nodes
        if node["op"] == "BatchNorm" and node.get("attrs", {}).get("fix_gamma", "True") == "True"
    ]


def _convert(symbol: Any, weights: dict[str, Any], images: Sequence[int]) -> Any:
    """Convert a symbol with mx.onnx to an ONNX graph whose weights are inputs without values."""
    from mxnet.onnx.mx2onnx._export_onnx import MXNetGraph
    from onnx import TensorProto

    with _own_converters(MXNetGraph.registry_):
        return MXNetGraph().create_onnx_graph_proto(
            symbol,
            weights,
            in_shapes=[images],
            in_types=[TensorProto.UINT8],
            opset_version=MXNET_OPERATOR_SET,
        )


@contextmanager
def _own_converters(registry: dict[int, dict[str, Any]]) -> Iterator[None]:
    """Let mx.onnx use the converters below instead of its own."""
    before = registry[MXNET_OPERATOR_SET]
    registry[MXNET_OPERATOR_SET] = {
        **before,
        "null": _convert_variable,
        "_image_normalize": _convert_normalize,
        "slice": _convert_slice,
        "LayerNorm": _convert_layer_norm,
        "batch_dot": _convert_batch_dot,
    }
    try:
        yield
    finally:
        registry[MXNET_OPERATOR_SET] = before


def _convert_variable(node: dict[str, Any], **context: Any) -> Converted:
    """Declare the images or a weight. mx.onnx would also copy a weight's values to a list."""
    from onnx import TensorProto
    from onnx.helper import make_tensor_value_info

    name = node["name"]
    if context["is_input"]:
        value = make_tensor_value_info(name, context["in_type"], context["in_shape"])
        return [value], (np.uint8,)
    shape = context["weights"][name].shape
    return [make_tensor_value_info(name, TensorProto.FLOAT, shape)], (np.float32,)


def _convert_normalize(node: dict[str, Any], **context: Any) -> Converted:
    """Write (x - mean) / std per channel as one multiplication and one addition."""
    from onnx.helper import make_node
    from onnx.numpy_helper import from_array

    name = node["name"]
    mean, std = (
        np.array(ast.literal_eval(node["attrs"][key])).reshape(1, 3, 1, 1)
        for key in ("mean", "std")
    )
    scale, shift = f"{name}_scale", f"{name}_shift"
    for constant, value in ((scale, 1 / std), (shift, -mean / std)):
        context["initializer"].append(from_array(value.astype(np.float32), constant))
    scaled = f"{name}_scaled"
    return [
        make_node("Mul", [*_input_names(node, context), scale], [scaled]),
        make_node("Add", [scaled, shift], [name], name=name),
    ], (np.float32,)


def _convert_slice(node: dict[str, Any], **context: Any) -> Converted:
    """Write a slice along the first axes. mx.onnx cannot convert negative steps."""
    from onnx.helper import make_node
    from onnx.numpy_helper import from_array

    name, given = node["name"], node["attrs"]
    begins, ends = (ast.literal_eval(given[key]) for key in ("begin", "end"))
    steps = [step or 1 for step in ast.literal_eval(given.get("step", "()")) or [1] * len(begins)]
    # What stands for the first and the last element, where a bound is None.
    first, last = 0, np.iinfo(np.int64).max
    inputs = {
        "begins": [
            (first if step > 0 else last) if begin is None else begin
            for begin, step in zip(begins, steps)
        ],
        "ends": [
            (last if step > 0 else -last) if end is None else end for end, step in zip(ends, steps)
        ],
        "axes": range(len(begins)),
        "steps": steps,
    }
    for key, values in inputs.items():
        context["initializer"].append(from_array(np.array(values, np.int64), f"{name}_{key}"))
    names = [f"{name}_{key}" for key in inputs]
    return [make_node("Slice", [*_input_names(node, context), *names], [name], name=name)], None


def _convert_layer_norm(node: dict[str, Any], **context: Any) -> Converted:
    """Write one operator; mx.onnx would write eight."""
    from onnx.helper import make_node

    attributes = node.get("attrs", {})
    axis, epsilon = int(attributes.get("axis", -1)), float(attributes.get("eps", 1e-5))
    if axis != -1:
        raise NotImplementedError(f"LayerNorm of axis {axis}")
    normalise = make_node(
        "LayerNormalization",
        _input_names(node, context),
        [node["name"]],
        name=node["name"],
        axis=axis,
        epsilon=epsilon,
    )
    return [normalise], (np.float32,)


def _convert_batch_dot(node: dict[str, Any], **context: Any) -> Converted:
    """Write a product of ``(B, N, M)``; mx.onnx would compute shapes to transpose a factor."""
    from onnx.helper import make_node

    name, nodes, factors = node["name"], [], []
    for factor, flag in zip(_input_names(node, context), ("transpose_a", "transpose_b")):
        factors.append(factor)
        if node.get("attrs", {}).get(flag) == "True":
            factors[-1] = f"{name}_{flag}"
            nodes.append(make_node("Transpose", [factor], factors[-1:], perm=(0, 2, 1)))
    return [*nodes, make_node("MatMul", factors, [name], name=name)], (np.float32,)


def _input_names(node: dict[str, Any], context: dict[str, Any]) -> list[str]:
    """The names of an operator's inputs."""
    outputs = context["outputs_lookup"]
    return [outputs[source][output].name for source, output, *_ in node["inputs"]]
