"""The training steps that two frameworks make alike, and how their results are compared."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from gpu_check.kit import CLASSES, compared_values, network_config, photo_samples
from gpu_check.plan import Plan

# Opens the learner of a configuration for samples.
Open = Callable[[Any, Any], Any]
Arrays = dict[str, np.ndarray]
RUNNING = ("running_mean", "running_var")


# The most by which gradients may differ. Rounding decides whether a value close to 0 passes a ReLU,
# and layers with batch normalisation magnify that: two builds for CPUs differ by 0.03. Adam divides
# each gradient by its size, so that the signs of those close to 0 count as much as any other.
ROUNDING, MAGNIFIED = 1e-3, 0.1


class Steps(NamedTuple):
    """Steps with one optimizer on the same batch."""

    name: str
    optimizer: str
    lr: float
    momentum: float
    weight_decay: float
    count: int


# One step without momentum, decay and a small rate changes the weights by their gradients.
GRADIENTS = Steps("gradients", "sgd", 1.0, 0.0, 0.0, 1)
OPTIMIZERS = tuple(
    Steps(name, name, lr, 0.9, 1e-4, 1)
    for name, lr in (("sgd", 0.05), ("nag", 0.05), ("adam", 0.001), ("adamw", 0.001))
)


def make_batch(plan: Plan) -> Any:
    """The batch of all steps: random pixels."""
    from fashionai.pipeline.loader import Batch

    shape = (plan.parity_batch, 1, plan.parity_side, plan.parity_side, 3)
    pixels = np.random.default_rng(7).integers(0, 256, shape).astype(np.uint8)
    return Batch(pixels, np.arange(plan.parity_batch))


def results(open_learner: Open, plan: Plan, network: str) -> Arrays:
    """The logits of the batch, and after each kind of steps the loss and some weights."""
    samples = photo_samples([Path("unread.jpg")], plan.parity_batch)
    found: Arrays = {}
    for steps in (GRADIENTS, *OPTIMIZERS):
        optimizer = {
            "name": steps.optimizer,
            "lr": steps.lr,
            "momentum": steps.momentum,
            "weight_decay": steps.weight_decay,
        }
        side, size = plan.parity_side, plan.parity_batch
        learner = open_learner(network_config(network, side, size, optimizer=optimizer), samples)
        if steps is GRADIENTS:
            found["outputs"] = learner.forward.outputs(make_batch(plan).images[:, 0])()
            found |= {f"initial/{name}": each for name, each in _weights(learner).items()}
        found[f"{steps.name}/loss"] = np.array(_train(learner, plan, steps))
        found |= {f"{steps.name}/{name}": each for name, each in _weights(learner).items()}
    return found


def _train(learner: Any, plan: Plan, steps: Steps) -> list[float]:
    """The losses of the steps."""
    batch = make_batch(plan)
    made = [learner.step(batch, 0, n, steps.lr, steps.momentum) for n in range(steps.count)]
    losses = [result.read()[0] for result in made]
    learner.wait()
    return losses


def _weights(learner: Any) -> Arrays:
    return {name: compared_values(values) for name, values in learner.parameters().items()}


class Difference(NamedTuple):
    """How far one kind of results differs, and the most that is accepted."""

    name: str
    value: float
    limit: float


def differences(found: Arrays, expected: Arrays) -> Iterable[Difference]:
    """Compare the results of two frameworks for one network.

    Outputs are compared by their largest difference, relative to the largest output; weights
    and running statistics by the length of the difference, relative to that of the change.
    """
    outputs = [each["outputs"] for each in (found, expected)]
    assert outputs[0].shape[1] == len(CLASSES)
    yield Difference("outputs", _largest(outputs[0] - outputs[1]) / _largest(outputs[1]), 1e-4)
    losses = [each[f"{GRADIENTS.name}/loss"] for each in (found, expected)]
    yield Difference("loss", _largest(losses[0] - losses[1]) / _largest(losses[1]), 1e-4)
    normalises = any(name.endswith(RUNNING) for name in expected)
    limit = MAGNIFIED if normalises else ROUNDING
    for steps in (GRADIENTS, *OPTIMIZERS):
        of_steps = limit * (5 if steps.name.startswith("adam") else 1)
        yield Difference(_title(steps), _of_change(found, expected, steps.name, False), of_steps)
    if normalises:
        change = _of_change(found, expected, GRADIENTS.name, True)
        yield Difference("running statistics", change, 1e-3)


def _title(steps: Steps) -> str:
    return steps.name if steps is GRADIENTS else f"a step of {steps.name}"


def _of_change(found: Arrays, expected: Arrays, steps: str, statistics: bool) -> float:
    """The length of the difference after some steps, relative to that of the change."""
    names = [
        name.partition("/")[2]
        for name in expected
        if name.startswith("initial/") and name.endswith(RUNNING) == statistics
    ]
    ours, theirs, before = (
        np.concatenate([arrays[f"{kind}/{name}"] for name in names]).astype(np.float64)
        for arrays, kind in ((found, steps), (expected, steps), (expected, "initial"))
    )
    return float(np.linalg.norm(ours - theirs) / np.linalg.norm(theirs - before))


def _largest(values: np.ndarray) -> float:
    return float(np.abs(values).max())
