"""Networks as graphs: fused by oneDNN, and as blocks again."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

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
    symbol = network(mx.sym.var(INPUT))
    values = {
        name: parameter.data(parameter.list_ctx()[0]).as_in_context(mx.cpu())
        for name, parameter in network.collect_params().items()
    }
    return Graph(
        symbol,
        {name: values[name] for name in symbol.list_arguments() if name != INPUT},
        {name: values[name] for name in symbol.list_auxiliary_states()},
    )


def fuse(graph: Graph) -> Graph:
    """The same with batch normalisation, activations and sums inside the convolutions (oneDNN)."""
    return graph._replace(symbol=graph.symbol.get_backend_symbol("MKLDNN"))


def as_block(graph: Graph, contexts: Sequence[Any]) -> Any:
    """A Gluon block that computes the graph on these devices."""
    parameters: Mapping[str, Any] = {**graph.arguments, **graph.statistics}
    with warnings.catch_warnings():
        # Types are inferred from the first batch.
        warnings.simplefilter("ignore")
        block = mx.gluon.SymbolBlock(graph.symbol, [mx.sym.var(INPUT)])
    for name, parameter in block.collect_params().items():
        parameter.shape = parameters[name].shape
        parameter.dtype = parameters[name].dtype
        parameter.initialize(ctx=list(contexts), init=mx.init.Zero())
        parameter.set_data(parameters[name])
    return block


def save_graph(graph: Graph, symbol_file: Path, parameters_file: Path) -> None:
    """Write the two files of an exported Gluon network; the caller makes them atomic."""
    graph.symbol.save(str(symbol_file))
    values = {f"arg:{name}": value for name, value in graph.arguments.items()}
    values.update({f"aux:{name}": value for name, value in graph.statistics.items()})
    mx.nd.save(str(parameters_file), values)


def load_graph(symbol_file: Path, parameters_file: Path) -> Graph:
    """Read what save_graph wrote; MXNetError for anything else."""
    values = mx.nd.load(str(parameters_file))
    kinds: dict[str, dict[str, Any]] = {"arg": {}, "aux": {}}
    for name, value in values.items():
        kind, _, plain = name.partition(":")
        kinds[kind][plain] = value
    return Graph(mx.sym.load(str(symbol_file)), kinds["arg"], kinds["aux"])
