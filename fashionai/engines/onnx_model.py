"""Runs as ONNX models: what mx.onnx writes, with weights as constants and pixels as input.

ONNX Runtime folds batch normalisation into convolutions where the weights are
constants. mx.onnx lists them among the inputs, where a caller might replace them.
"""

from __future__ import annotations

import ast
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from fashionai.engines.pixel_graph import OUTPUT, run_graph
from fashionai.errors import InstallationError, WeightsError
from fashionai.models.graph import INPUT, Graph
from fashionai.runs import Run
from fashionai.runtime import import_mxnet

mx = import_mxnet()

INSTALL_HINT = "Run: pip install 'fashionai[onnx]'"
# The model's input.
IMAGES = "images"
# The newest operators that MXNet 1.9.1 writes, and a version of the file format that has them.
OPERATOR_SET, FILE_FORMAT = 13, 8

Translated = tuple[list[Any], tuple[Any, ...]]


def onnx_model(run: Run) -> bytes:
    """A run's network as the content of an ONNX file.

    ``images`` ``(N, crop, crop, 3) uint8`` RGB to ``probabilities`` ``(N, C) float32``,
    where the columns of each task sum to 1. Raises InstallationError where onnx is
    missing or too new, WeightsError for a network that mx.onnx cannot translate,
    errors of run_graph.
    """
    return to_onnx(run_graph(run), run.config.model.name, run.config.data.crop)


def to_onnx(graph: Graph, name: str, crop: int) -> bytes:
    """The graph of a network of that name for images of ``crop`` pixels; see onnx_model."""
    onnx = _import_onnx()
    shape = (1, crop, crop, 3)
    symbol = _with_plain_reshapes(graph.symbol, shape)(**{INPUT: mx.sym.var(IMAGES)})
    weights = {**graph.arguments, **graph.statistics}
    for gamma in _fixed_gammas(symbol):
        weights[gamma] = mx.nd.ones_like(weights[gamma])
    try:
        translated = _translate(symbol, weights, shape)
    except (AttributeError, NotImplementedError, onnx.checker.ValidationError) as error:
        reason = str(error).splitlines()[0]
        raise WeightsError(f"{name}: MXNet cannot write this network as ONNX: {reason}") from None
    _, (answer,), _ = symbol.infer_shape(**{IMAGES: shape})
    types, describe = onnx.TensorProto, onnx.helper.make_tensor_value_info
    # mx.onnx leaves constants that nothing reads, of which ONNX Runtime warns whoever opens them.
    read = {each for node in translated.node for each in node.input}
    inner = onnx.helper.make_graph(
        translated.node,
        name,
        [describe(IMAGES, types.UINT8, ["N", *shape[1:]])],
        [describe(OUTPUT, types.FLOAT, ["N", *answer[1:]])],
        [constant for constant in translated.initializer if constant.name in read],
    )
    for weight, values in weights.items():
        inner.initializer.append(onnx.numpy_helper.from_array(values.asnumpy(), weight))
    operators = [onnx.helper.make_opsetid("", OPERATOR_SET)]
    model = onnx.helper.make_model(
        inner, producer_name="fashionai", opset_imports=operators, ir_version=FILE_FORMAT
    )
    content: bytes = model.SerializeToString()
    return content


def _import_onnx() -> Any:
    """The onnx module, of a version that mx.onnx can use."""
    try:
        import onnx
    except ImportError:
        raise InstallationError("onnx is not installed", INSTALL_HINT) from None
    if not hasattr(onnx, "mapping"):  # MXNet reads it, and 1.17 dropped it
        raise InstallationError(
            f"onnx {onnx.__version__} is installed, and MXNet 1.9.1 needs one before 1.17",
            INSTALL_HINT,
        )
    return onnx


def _with_plain_reshapes(symbol: Any, images: Sequence[int]) -> Any:
    """The symbol with sizes where MXNet has codes that ONNX lacks: copy, merge and split axes."""
    description = json.loads(symbol.tojson())
    inner = symbol.get_internals()
    _, shapes, _ = inner.infer_shape(**{INPUT: images})
    shape_of = dict(zip(inner.list_outputs(), shapes))
    for node in description["nodes"]:
        if node["op"] != "Reshape":
            continue
        codes = ast.literal_eval(node["attrs"]["shape"])
        # The first axis, the number of images, stays open.
        if codes[0] == 0 and min(codes) < -1:
            node["attrs"]["shape"] = str((-1, *shape_of[f"{node['name']}_output"][1:]))
    return mx.sym.load_json(json.dumps(description))


def _fixed_gammas(symbol: Any) -> list[str]:
    """The factors of batch normalisation that MXNet takes for 1, whatever they are."""
    nodes = json.loads(symbol.tojson())["nodes"]
    return [
        nodes[node["inputs"][1][0]]["name"]
        for node in nodes
        if node["op"] == "BatchNorm" and node.get("attrs", {}).get("fix_gamma", "True") == "True"
    ]


def _translate(symbol: Any, weights: dict[str, Any], images: Sequence[int]) -> Any:
    """What mx.onnx makes of a symbol: a graph whose weights are inputs without values."""
    from mxnet.onnx.mx2onnx._export_onnx import MXNetGraph
    from onnx import TensorProto

    with _own_translations(MXNetGraph.registry_):
        return MXNetGraph().create_onnx_graph_proto(
            symbol,
            weights,
            in_shapes=[images],
            in_types=[TensorProto.UINT8],
            opset_version=OPERATOR_SET,
        )


@contextmanager
def _own_translations(registry: dict[int, dict[str, Any]]) -> Iterator[None]:
    """Let mx.onnx use the translations below before its own."""
    before = registry[OPERATOR_SET]
    registry[OPERATOR_SET] = {
        **before,
        "null": _translate_variable,
        "_image_normalize": _translate_normalize,
    }
    try:
        yield
    finally:
        registry[OPERATOR_SET] = before


def _translate_variable(node: dict[str, Any], **context: Any) -> Translated:
    """The images, or weights: mx.onnx would copy their values into lists of Python's numbers."""
    from onnx import TensorProto
    from onnx.helper import make_tensor_value_info

    name = node["name"]
    if context["is_input"]:
        value = make_tensor_value_info(name, context["in_type"], context["in_shape"])
        return [value], (np.uint8,)
    shape = context["weights"][name].shape
    return [make_tensor_value_info(name, TensorProto.FLOAT, shape)], (np.float32,)


def _translate_normalize(node: dict[str, Any], **context: Any) -> Translated:
    """(x - mean) / std of each channel, as one product and one sum."""
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
        make_node("Mul", [_input(node, context), scale], [scaled]),
        make_node("Add", [scaled, shift], [name], name=name),
    ], (np.float32,)


def _input(node: dict[str, Any], context: dict[str, Any]) -> str:
    """The name of an operator's only input."""
    ((source, output, *_),) = node["inputs"]
    name: str = context["outputs_lookup"][source][output].name
    return name
