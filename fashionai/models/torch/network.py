"""A traced network, or a part of it, as a module of PyTorch."""

from __future__ import annotations

import operator
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Optional

import numpy as np
import torch
from torch import Tensor, fx, nn

from fashionai.models.description import INPUT, Entry, NetworkDescription
from fashionai.models.torch import layers
from fashionai.models.torch.attributes import Attributes, unsupported
from fashionai.models.torch.operators import call_of

# The name of the module that normalises over several processes.
SHARED_LAYER = "shared_batch_norm"


class Statistics(NamedTuple):
    """A batch normalisation whose running statistics training updates: names of buffers.

    The forward pass in training writes the mean and the variance of the batch into
    ``batch_mean`` and ``batch_variance``. ``node`` is the name of its call in the code.
    """

    node: str
    axis: int
    momentum: float
    mean: str
    variance: str
    batch_mean: str
    batch_variance: str


class GraphNetwork(nn.Module):
    """A described network, from normalised images ``(B, 3, H, W) float32`` to logits ``(B, C)``.

    ``begin`` and ``end`` select a part: it begins with the input that stands for what
    ``begin`` computes, and gives what ``end`` computes. Only parameters that the part uses
    are loaded. With ``shared``, batch normalisation uses the statistics of several processes.
    Those of ``description.rates`` require gradients. train() and eval() switch
    batch normalisation and dropout, as in other modules.

    After each forward pass in training mode, update_statistics must be called.

    Raises ConfigError for an operator that PyTorch cannot compute.
    """

    def __init__(
        self,
        description: NetworkDescription,
        begin: Optional[Entry] = None,
        end: Optional[Entry] = None,
        shared: Optional[layers.SharedSums] = None,
    ) -> None:
        super().__init__()
        builder = _Builder(description, begin, shared)
        graph = builder.build(end or description.logits)
        self.graph = fx.GraphModule({**builder.tensors, **builder.attached}, graph, "Graph")
        self._attributes = builder.attributes
        self._statistics = builder.statistics
        self._is_shared = shared is not None
        # The number of values per channel of each batch normalisation, by shape of the input.
        self._counts: dict[tuple[int, ...], list[int]] = {}

    def forward(self, inputs: Tensor) -> Tensor:
        """The output of the network or part for a batch of its input."""
        result: Tensor = self.graph(inputs, self.training)
        return result

    def named(self) -> dict[str, Tensor]:
        """The parameters and running statistics themselves, by name in parameter files."""
        return {name: getattr(self.graph, field) for name, field in self._attributes.items()}

    def arrays(self) -> dict[str, np.ndarray]:
        """Copies of the parameters and running statistics, by name in parameter files."""
        return {
            name: np.array(tensor.detach().float().cpu().numpy(), order="C")
            for name, tensor in self.named().items()
        }

    def set_arrays(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Set all parameters and running statistics.

        ``arrays`` may hold others, too. Raises KeyError for a missing one and ValueError for one
        of another shape.
        """
        with torch.no_grad():
            for name, tensor in self.named().items():
                # PyTorch warns of arrays that must not be written to, as those of files are.
                values = np.require(arrays[name], requirements=["C", "W"])
                if values.shape != tuple(tensor.shape):
                    raise ValueError(
                        f"{name} has shape {values.shape}, expected {tuple(tensor.shape)}"
                    )
                tensor.copy_(torch.from_numpy(values))

    @torch.no_grad()
    def update_statistics(self, shape: Sequence[int]) -> None:
        """Update the running statistics after a forward pass in training mode.

        ``shape`` is the shape of the input of that pass. MXNet's rule is used: running =
        momentum * running + (1 - momentum) * batch, with the variance divided by the number
        of values.
        """
        counts = self._values_per_channel(tuple(shape))
        for momentum in sorted({each.momentum for each in self._statistics}):
            chosen = [i for i, each in enumerate(self._statistics) if each.momentum == momentum]
            self._update([self._statistics[i] for i in chosen], [counts[i] for i in chosen])

    def _update(self, updated: Sequence[Statistics], counts: Sequence[int]) -> None:
        """Update layers of equal momentum."""

        def tensors(field: str) -> list[Tensor]:
            # Autograd refuses a backward pass after changes of tensors that it has saved, but that
            # of batch normalisation in training does not read them. It does not see those of data.
            return [getattr(self.graph, getattr(layer, field)).data for layer in updated]

        means, variances = tensors("batch_mean"), tensors("batch_variance")
        if not self._is_shared:  # else they are divided by the number of values already
            torch._foreach_mul_(variances, [(count - 1) / count for count in counts])
        running, batch = tensors("mean") + tensors("variance"), means + variances
        torch._foreach_mul_(running, updated[0].momentum)
        torch._foreach_add_(running, batch, alpha=1 - updated[0].momentum)
        # The next pass multiplies the old values by 0, which would keep infinite ones.
        torch._foreach_zero_(batch)

    def _values_per_channel(self, shape: tuple[int, ...]) -> list[int]:
        if shape not in self._counts:
            batch, *image = shape
            found = _ValuesPerChannel(self.graph, self._statistics).of_image(image)
            self._counts[shape] = [batch * count for count in found]
        return self._counts[shape]


class _ValuesPerChannel(fx.Interpreter):
    """Finds how many values of one image each batch normalisation has per channel.

    It computes one image: tensors of the device "meta", which compute nothing, would import
    PyTorch's compiler, and that takes seconds.
    """

    def __init__(self, graph: fx.GraphModule, statistics: Sequence[Statistics]) -> None:
        super().__init__(graph)
        self._layers = {each.node: each for each in statistics}
        self._found: dict[str, int] = {}

    def of_image(self, shape: Sequence[int]) -> list[int]:
        """The number of values for an input of this shape, which is without the batch."""
        if not self._layers:
            return []
        statistic = getattr(self.module, next(iter(self._layers.values())).mean)
        self.run(statistic.new_zeros((1, *shape)), False)
        return [self._found[node] for node in self._layers]

    def run_node(self, n: fx.Node) -> Any:
        """The result of a node; the inputs of batch normalisation are noted."""
        if n.name in self._layers:
            values = self.env[n.all_input_nodes[0]]
            self._found[n.name] = values.numel() // values.shape[self._layers[n.name].axis]
        return super().run_node(n)


class _Builder:
    """Makes the code of a network, and its tensors by the name of their attribute."""

    def __init__(
        self,
        description: NetworkDescription,
        begin: Optional[Entry],
        shared: Optional[layers.SharedSums] = None,
    ) -> None:
        self._description, self._begin, self._shared = description, begin, shared
        self.tensors: dict[str, Tensor] = {}
        self.attached: dict[str, nn.Module] = {}
        self.attributes: dict[str, str] = {}
        self.statistics: list[Statistics] = []
        self._graph = fx.Graph()
        self._input = self._graph.placeholder("inputs")
        self._training = self._graph.placeholder("training")
        self._results: dict[int, fx.Node] = {}
        # The number of outputs of nodes that return tuples.
        self._tuples: dict[int, int] = {}

    def build(self, end: Entry) -> fx.Graph:
        """The code that computes ``end``, and the attributes that it needs."""
        statistics = self._statistics_variables()
        for index in self._needed(end):
            node = self._description.nodes[index]
            if node["op"] == "null":
                self._results[index] = self._variable(node["name"], index in statistics)
            elif node["op"] == "BatchNorm":
                self._results[index] = self._normalisation(node)
            else:
                self._results[index] = self._call(index, node)
        self._graph.output(self._entry(end))
        self._sort_names()
        return self._graph

    def _needed(self, end: Entry) -> list[int]:
        """The nodes from ``begin`` to ``end`` in their order."""
        needed, waiting = set(), [end]
        while waiting:
            entry = waiting.pop()
            if entry == self._begin or entry[0] in needed:
                continue
            needed.add(entry[0])
            inputs = self._description.nodes[entry[0]]["inputs"]
            waiting += [(source, output) for source, output, *_ in inputs]
        return sorted(needed)

    def _statistics_variables(self) -> set[int]:
        """The nodes of variables that are running statistics."""
        return {
            source
            for node in self._description.nodes
            if node["op"] == "BatchNorm"
            for source, *_ in node["inputs"][3:]
        }

    def _variable(self, name: str, is_statistic: bool) -> fx.Node:
        if name == INPUT and name not in self._description.variables:
            if self._begin is not None:
                raise ValueError("a part of the network needs more than its first entry")
            return self._input
        stored = self._description.variables[name]
        field = self.attributes.setdefault(stored, stored.replace(".", "__"))
        if field not in self.tensors:
            # A copy: training must not change the description.
            values = torch.tensor(self._description.parameters[stored])
            trained = stored in self._description.rates
            self.tensors[field] = values if is_statistic else nn.Parameter(values, trained)
        return self._graph.get_attr(field)

    def _normalisation(self, node: Mapping[str, Any]) -> fx.Node:
        given = Attributes("BatchNorm", node["name"], node["attrs"])
        given.only("output_mean_var", "False", "0")
        x, gamma, beta, mean, variance = self._inputs(node)
        axis = given.integer("axis", 1)
        constants: dict[str, Any] = {"axis": axis, "eps": given.number("eps", 1e-3)}
        fixed = None if given.flag("fix_gamma", True) else gamma
        if given.flag("use_global_stats"):
            fixed_arguments = (x, fixed, beta, mean, variance, None, False)
            return self._graph.call_function(layers.batch_norm, fixed_arguments, constants)
        batch = tuple(self._scratch(f"batch_{each.target}", each) for each in (mean, variance))
        arguments = (x, fixed, beta, mean, variance, batch, self._training)
        if self._shared is None:
            call = self._graph.call_function(layers.batch_norm, arguments, constants)
        else:
            self.attached[SHARED_LAYER] = layers.SharedBatchNorm(self._shared)
            call = self._graph.call_module(SHARED_LAYER, arguments, constants)
        names = (str(each.target) for each in (mean, variance, *batch))
        self.statistics.append(Statistics(call.name, axis, given.number("momentum", 0.9), *names))
        return call

    def _scratch(self, name: str, like: fx.Node) -> fx.Node:
        """A buffer for a statistic of the current batch."""
        self.tensors[name] = torch.zeros_like(self.tensors[str(like.target)])
        return self._graph.get_attr(name)

    def _call(self, index: int, node: Mapping[str, Any]) -> fx.Node:
        attributes = Attributes(node["op"], node["name"], node["attrs"])
        call = call_of(attributes)
        arguments = (*self._inputs(node), *([self._training] if call.trains else []))
        if call.outputs:
            self._tuples[index] = call.outputs
        return self._graph.call_function(call.function, arguments, call.constants)

    def _inputs(self, node: Mapping[str, Any]) -> list[fx.Node]:
        return [self._entry((source, output)) for source, output, *_ in node["inputs"]]

    def _entry(self, entry: Entry) -> fx.Node:
        if entry == self._begin:
            return self._input
        index, output = entry
        if index in self._tuples:
            return self._graph.call_function(operator.getitem, (self._results[index], output))
        if output:
            node = self._description.nodes[index]
            raise unsupported(node["op"], node["name"], f" with output {output}")
        return self._results[index]

    def _sort_names(self) -> None:
        """Bring the names of the parameters into the order of parameter files."""
        self.attributes = {
            name: self.attributes[name]
            for name in self._description.parameters
            if name in self.attributes
        }
