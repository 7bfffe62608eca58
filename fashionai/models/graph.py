"""Symbolic graphs of networks: tracing, fusing by oneDNN, Gluon blocks, and files."""

from __future__ import annotations

import json
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from fashionai.errors import RunError
from fashionai.files.formats.array_lists import read_array_list, write_array_list
from fashionai.frameworks.mxnet import import_mxnet
from fashionai.models.description import INPUT
from fashionai.models.merging import merge_operators

mx = import_mxnet()


class Graph(NamedTuple):
    """A symbol of the variable ``data``, and its parameters by name, on the CPU.

    ``statistics`` are the running statistics of batch normalisation, which MXNet
    stores separately as auxiliary states.
    """

    symbol: Any
    arguments: dict[str, Any]
    statistics: dict[str, Any]


def trace(network: Any) -> Graph:
    """The graph of an initialised network, from ``(B, 3, H, W) float32`` to its output."""
    symbol = _separate_shared_convolutions(_simplify(network(mx.sym.var(INPUT))))
    values = {
        name: parameter.data(parameter.list_ctx()[0]).as_in_context(mx.cpu())
        for name, parameter in network.collect_params().items()
    }
    return graph_of(symbol, values)


def graph_of(symbol: Any, values: Mapping[str, Any]) -> Graph:
    """The graph of a symbol, with those of ``values`` that it uses, by name."""
    return Graph(
        symbol,
        {name: values[name] for name in symbol.list_arguments() if name != INPUT},
        {name: values[name] for name in symbol.list_auxiliary_states()},
    )


def changed_symbol(description: dict[str, Any]) -> Any:
    """The symbol of a JSON description (as from ``tojson``) whose nodes have been changed."""
    nodes = description["nodes"]
    variables = [index for index, node in enumerate(nodes) if node["op"] == "null"]
    # node_row_ptr counts the outputs of the original nodes. It is optional.
    kept = {key: value for key, value in description.items() if key != "node_row_ptr"}
    return mx.sym.load_json(json.dumps({**kept, "arg_nodes": variables}))


def _simplify(symbol: Any) -> Any:
    """Merge operators, see fashionai.models.merging."""
    description = json.loads(symbol.tojson())
    return changed_symbol({**description, "nodes": merge_operators(description["nodes"])})


def _separate_shared_convolutions(symbol: Any) -> Any:
    """Insert an identity operator after convolutions that BatchNorm and other operators read.

    oneDNN fuses batch normalisation into the convolution before it, and all other
    readers of the convolution would get the normalised values, too. CIFAR's ResNet v2
    has such convolutions, which a sum reads as well.
    """
    description = json.loads(symbol.tojson())
    readers: dict[int, list[str]] = {}
    for node in description["nodes"]:
        for source, *_ in node["inputs"]:
            readers.setdefault(source, []).append(node["op"])
    nodes: list[dict[str, Any]] = []
    # The new index of the output of each old node.
    new_index: list[int] = []
    for index, node in enumerate(description["nodes"]):
        inputs = [[new_index[source], *rest] for source, *rest in node["inputs"]]
        nodes.append({**node, "inputs": inputs})
        node_readers = readers.get(index, [])
        if node["op"] == "Convolution" and "BatchNorm" in node_readers and len(node_readers) > 1:
            nodes.append(_identity_node(f"{node['name']}_shared", len(nodes) - 1))
        new_index.append(len(nodes) - 1)
    description["nodes"] = nodes
    description["heads"] = [[new_index[source], *rest] for source, *rest in description["heads"]]
    return changed_symbol(description)


def _identity_node(name: str, source: int) -> dict[str, Any]:
    """A reshape to the same shape. MXNet removes copy operators before it fuses."""
    shape = {"shape": "(0, 0, 0, 0)"}
    return {"op": "Reshape", "name": name, "attrs": shape, "inputs": [[source, 0, 0]]}


def fuse(graph: Graph, backend: str = "MKLDNN") -> Graph:
    """The graph after oneDNN has fused BatchNorm, activations and sums into convolutions.

    The backend ``MKLDNN_QUANTIZE`` fuses what MXNet quantizes, under the same names.
    """
    return graph._replace(symbol=graph.symbol.get_backend_symbol(backend))


def compute(symbol: Any, values: Mapping[str, Any]) -> list[Any]:
    """All outputs of a symbol on the CPU, from the values of its variables by name."""
    arguments = {name: values[name] for name in symbol.list_arguments()}
    states = {name: values[name] for name in symbol.list_auxiliary_states()}
    executor = symbol.bind(mx.cpu(), arguments, aux_states=states, grad_req="null")
    outputs: list[Any] = executor.forward(is_train=False)
    return outputs


def symbol_block(symbol: Any, parameters: Any = None) -> Any:
    """A Gluon block of a symbol of ``data``; it shares ``parameters``, Gluon's, if given."""
    with warnings.catch_warnings():
        # MXNet warns that the dtype of the input is unknown; the first batch determines it.
        warnings.simplefilter("ignore")
        return mx.gluon.SymbolBlock(symbol, [mx.sym.var(INPUT)], params=parameters)


def as_block(graph: Graph, contexts: Sequence[Any]) -> Any:
    """A Gluon block that computes the graph on these devices, with a copy of its parameters."""
    parameters: Mapping[str, Any] = {**graph.arguments, **graph.statistics}
    block = symbol_block(graph.symbol)
    for name, parameter in block.collect_params().items():
        parameter.shape = parameters[name].shape
        parameter.dtype = parameters[name].dtype
        parameter.initialize(ctx=list(contexts), init=mx.init.Zero())
        parameter.set_data(parameters[name])
    return block


def save_graph(graph: Graph, symbol_file: Path, parameters_file: Path) -> None:
    """Write the two files of an exported Gluon network. Atomicity is up to the caller.

    Raises RunError if they cannot be written, for instance because the disk is full.
    """
    values = {f"arg:{name}": value.asnumpy() for name, value in graph.arguments.items()}
    values.update({f"aux:{name}": value.asnumpy() for name, value in graph.statistics.items()})
    try:
        symbol_file.write_text(graph.symbol.tojson(), encoding="utf-8")
        write_array_list(parameters_file, values)
    except OSError as error:
        raise RunError(f"{symbol_file.parent}: cannot be written: {error.strerror}") from None


def load_graph(symbol_file: Path, parameters_file: Path) -> Graph:
    """Read the files of save_graph. Raises MXNetError or ValueError for other files."""
    kinds: dict[str, dict[str, Any]] = {"arg": {}, "aux": {}}
    for prefixed_name, value in read_array_list(parameters_file).items():
        kind, _, name = prefixed_name.partition(":")
        kinds[kind][name] = mx.nd.array(value, dtype=value.dtype)
    return Graph(mx.sym.load(str(symbol_file)), kinds["arg"], kinds["aux"])
