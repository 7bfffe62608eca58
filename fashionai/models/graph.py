"""Networks as graphs: fused by oneDNN, and as blocks again."""

from __future__ import annotations

import json
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from fashionai.errors import RunError
from fashionai.models.parameter_files import save_arrays
from fashionai.runtime import import_mxnet

mx = import_mxnet()

# The name of a graph's input.
INPUT = "data"


class Graph(NamedTuple):
    """A symbol of the variable ``data`` with its parameters by name, on the CPU.

    ``statistics`` are those of batch normalisation, which MXNet keeps apart.
    """

    symbol: Any
    arguments: dict[str, Any]
    statistics: dict[str, Any]


def trace(network: Any) -> Graph:
    """The graph of an initialised network: ``(B, 3, H, W) float32`` to its output."""
    symbol = _with_shared_convolutions_apart(network(mx.sym.var(INPUT)))
    values = {
        name: parameter.data(parameter.list_ctx()[0]).as_in_context(mx.cpu())
        for name, parameter in network.collect_params().items()
    }
    return graph_of(symbol, values)


def graph_of(symbol: Any, values: Mapping[str, Any]) -> Graph:
    """The graph of a symbol, with those of the values by name that it uses."""
    return Graph(
        symbol,
        {name: values[name] for name in symbol.list_arguments() if name != INPUT},
        {name: values[name] for name in symbol.list_auxiliary_states()},
    )


def changed_symbol(description: dict[str, Any]) -> Any:
    """The symbol of a description, as ``tojson`` gives it, whose nodes have been changed."""
    nodes = description["nodes"]
    variables = [at for at, node in enumerate(nodes) if node["op"] == "null"]
    # node_row_ptr counts the outputs of the nodes that there were, and may be left out.
    kept = {key: value for key, value in description.items() if key != "node_row_ptr"}
    return mx.sym.load_json(json.dumps({**kept, "arg_nodes": variables}))


def _with_shared_convolutions_apart(symbol: Any) -> Any:
    """The symbol with an operator that changes nothing between some convolutions and their readers.

    oneDNN computes batch normalisation inside the convolution before it, and all
    readers of that convolution would get the answer: in CIFAR's ResNet v2 a sum reads it too.
    """
    description = json.loads(symbol.tojson())
    readers: dict[int, list[str]] = {}
    for node in description["nodes"]:
        for source, *_ in node["inputs"]:
            readers.setdefault(source, []).append(node["op"])
    nodes: list[dict[str, Any]] = []
    # Where each node's answer is from now on.
    place: list[int] = []
    for number, node in enumerate(description["nodes"]):
        nodes.append({**node, "inputs": [[place[at], *rest] for at, *rest in node["inputs"]]})
        own = readers.get(number, [])
        if node["op"] == "Convolution" and "BatchNorm" in own and len(own) > 1:
            nodes.append(_same_shape(f"{node['name']}_shared", len(nodes) - 1))
        place.append(len(nodes) - 1)
    description["nodes"] = nodes
    description["heads"] = [[place[at], *rest] for at, *rest in description["heads"]]
    return changed_symbol(description)


def _same_shape(name: str, source: int) -> dict[str, Any]:
    """A node that gives on what it gets; MXNet removes plain copies before it fuses."""
    shape = {"shape": "(0, 0, 0, 0)"}
    return {"op": "Reshape", "name": name, "attrs": shape, "inputs": [[source, 0, 0]]}


def fuse(graph: Graph) -> Graph:
    """The same with batch normalisation, activations and sums inside the convolutions (oneDNN)."""
    return graph._replace(symbol=graph.symbol.get_backend_symbol("MKLDNN"))


def symbol_block(symbol: Any, parameters: Any = None) -> Any:
    """A Gluon block of a symbol of ``data``, over these Gluon parameters where they are given."""
    with warnings.catch_warnings():
        # That the type of the input is open: it is that of the first batch.
        warnings.simplefilter("ignore")
        return mx.gluon.SymbolBlock(symbol, [mx.sym.var(INPUT)], params=parameters)


def as_block(graph: Graph, contexts: Sequence[Any]) -> Any:
    """A Gluon block that computes the graph on these devices."""
    parameters: Mapping[str, Any] = {**graph.arguments, **graph.statistics}
    block = symbol_block(graph.symbol)
    for name, parameter in block.collect_params().items():
        parameter.shape = parameters[name].shape
        parameter.dtype = parameters[name].dtype
        parameter.initialize(ctx=list(contexts), init=mx.init.Zero())
        parameter.set_data(parameters[name])
    return block


def save_graph(graph: Graph, symbol_file: Path, parameters_file: Path) -> None:
    """Write the two files of an exported Gluon network; the caller makes them atomic.

    Raises RunError when they cannot be written, for instance on a full disk.
    """
    values = {f"arg:{name}": value for name, value in graph.arguments.items()}
    values.update({f"aux:{name}": value for name, value in graph.statistics.items()})
    try:
        symbol_file.write_text(graph.symbol.tojson(), encoding="utf-8")
        save_arrays(parameters_file, values)
    except OSError as error:
        raise RunError(f"{symbol_file.parent}: cannot be written: {error.strerror}") from None


def load_graph(symbol_file: Path, parameters_file: Path) -> Graph:
    """Read what save_graph wrote; MXNetError for anything else."""
    values = mx.nd.load(str(parameters_file))
    kinds: dict[str, dict[str, Any]] = {"arg": {}, "aux": {}}
    for name, value in values.items():
        kind, _, plain = name.partition(":")
        kinds[kind][plain] = value
    return Graph(mx.sym.load(str(symbol_file)), kinds["arg"], kinds["aux"])
