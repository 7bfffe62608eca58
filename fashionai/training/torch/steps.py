"""The forward pass of a training step: losses and correct predictions of one device's part."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any, Optional

import torch
from torch import Tensor, nn

from fashionai.errors import first_line
from fashionai.models.torch.forward import mix, precision_context
from fashionai.training.batches.targets import SMALLEST_REST

log = logging.getLogger(__name__)

Mixed = Optional[tuple[Tensor, Tensor]]


class StepComputation(nn.Module):
    """A network with its normalisation and its loss.

    ``columns`` holds one slice of the network's output per task. The soft-max is taken over the
    columns of each task separately; a task whose targets are all zero adds nothing to the loss.
    With ``gamma`` above 0 it is the focal loss, see fashionai.training.gluon.losses.
    """

    def __init__(
        self,
        network: nn.Module,
        normalize: nn.Module,
        columns: Sequence[slice],
        precision: str,
        gamma: float = 0.0,
    ) -> None:
        super().__init__()
        self.network, self.normalize = network, normalize
        self._columns, self._precision, self._gamma = list(columns), precision, gamma

    def forward(self, inputs: Tensor, targets: Tensor, weighted: Tensor, mixed: Mixed) -> Any:
        """The sum of the losses, and ``(2,) float64`` of it and of the correct predictions.

        ``inputs`` are pixels or features ``(B, ...)``; ``targets`` and ``weighted`` are
        ``(B, C)``, the latter with the weights of the classes.
        """
        with precision_context(self._precision, inputs.device):
            logits = self.network(mix(self.normalize(inputs), mixed))
        logits = logits.float()
        parts = [torch.log_softmax(logits[:, part], dim=1) for part in self._columns]
        logarithms = torch.cat(parts, dim=1)
        if self._gamma:
            rest = (-torch.expm1(logarithms)).clamp(SMALLEST_REST, 1.0)
            weighted = weighted * rest**self._gamma
        losses = -(logarithms * weighted).sum(dim=1)
        correct = _count_correct(logits, targets, self._columns)
        return losses.sum(), torch.stack([losses.detach().double().sum(), correct.double()])


def _count_correct(logits: Tensor, targets: Tensor, columns: Sequence[slice]) -> Tensor:
    """See fashionai.training.batches.targets.count_correct."""
    truth = targets.argmax(dim=1)
    correct = torch.zeros((), dtype=torch.int64, device=logits.device)
    for part in columns:
        of_head = (truth >= part.start) & (truth < part.stop)
        predicted = logits[:, part].argmax(dim=1) + part.start
        correct = correct + (of_head & (predicted == truth)).sum()
    return correct


class CompiledSteps:
    """Calls a StepComputation through torch.compile, and without it where that fails."""

    def __init__(self, steps: StepComputation) -> None:
        self._steps: Any = steps
        # Code of earlier networks counts towards the largest number of variants of a function.
        torch._dynamo.reset()
        self._compiled: Any = torch.compile(steps, dynamic=False)
        self.works = False

    def __call__(self, *arguments: Any) -> Any:
        """The results of StepComputation.forward."""
        if self._compiled is None:
            return self._steps(*arguments)
        try:
            results = self._compiled(*arguments)
        except Exception as error:
            # Its errors have no common base class. One of a later step has another cause.
            if self.works or isinstance(error, torch.cuda.OutOfMemoryError):
                raise
            log.info("torch.compile failed, the network is not compiled: %s", first_line(error))
            self._compiled = None
            return self._steps(*arguments)
        self.works = True
        return results
