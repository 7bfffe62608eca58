"""One of the processes of the part ``processes``."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Optional

import numpy as np

from gpu_check.kit import load_network, network_config, photo_samples
from gpu_check.worker import Context

# Without batch normalisation, so that two halves of a batch train what the whole trains.
NETWORK = "logos_cnn"
STEPS, LR, MOMENTUM = 5, 0.01, 0.9
LIMIT = 1e-4


def run(context: Context) -> None:
    """Train together; then the first process trains alone and compares."""
    import torch.distributed as dist

    from fashionai.training.batches.shares import Share
    from fashionai.training.torch.processes import Processes

    rank, count = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
    dist.init_process_group("gloo")
    device = "cuda:0" if context.on_gpu else "cpu"
    together = _train(context, Processes(Share(rank, count), device))
    dist.barrier()
    dist.destroy_process_group()
    if rank == 0:
        _compare(context, together, _train(context, None))


def _train(context: Context, processes: Optional[Any]) -> tuple[list[float], dict[str, Any]]:
    """The losses of some steps, and the parameters after them."""
    from fashionai.pipeline.loader import Batch
    from fashionai.training.torch.learner import TorchLearner

    plan, share = context.plan, processes.share if processes else None
    count = share.count if share else 1
    total = 2 * plan.parity_batch
    optimizer = {"name": "sgd", "lr": LR, "momentum": MOMENTUM, "weight_decay": 1e-4}
    config = network_config(NETWORK, plan.parity_side, total // count, optimizer=optimizer)
    samples = photo_samples([Path("unread.jpg")], total)
    description = load_network(context.kit, NETWORK)
    learner = TorchLearner(config, samples, context.devices(), description, processes=processes)
    shape = (total, 1, plan.parity_side, plan.parity_side, 3)
    pixels = np.random.default_rng(9).integers(0, 256, shape).astype(np.uint8)
    rows = np.arange(total)
    if share:
        own = slice(share.index * total // count, (share.index + 1) * total // count)
        pixels, rows = pixels[own], rows[own]
    results = [
        learner.step(Batch(pixels, rows), 0, step, LR, MOMENTUM).read()[0] for step in range(STEPS)
    ]
    return results, learner.parameters()


def _compare(context: Context, together: Any, alone: Any) -> None:
    """Add how far the losses and the parameters differ."""
    losses = [np.array(found[0]) for found in (together, alone)]
    sizes = max(float(np.abs(values).max()) for values in alone[1].values())
    weights = max(float(np.abs(together[1][name] - alone[1][name]).max()) for name in alone[1])
    for name, difference in (
        ("losses", float(np.abs(losses[0] - losses[1]).max() / np.abs(losses[1]).max())),
        ("parameters", weights / sizes),
    ):
        context.add(
            f"{name} of {STEPS} steps of two processes",
            difference,
            "relative difference",
            passed=difference <= LIMIT,
            expected=f"<= {LIMIT:g}",
        )
