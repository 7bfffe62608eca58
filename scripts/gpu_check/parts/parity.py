"""Outputs, gradients and steps of three networks compared with MXNet's on the CPU."""

from __future__ import annotations

from typing import Any

import numpy as np

from gpu_check.kit import load_network
from gpu_check.steps import differences, results
from gpu_check.worker import Context


def run(context: Context) -> None:
    """Add a row per network and kind of result."""
    from fashionai.training.torch.opening import open_torch

    for network in context.plan.parity_networks:
        description = load_network(context.kit, network)

        def open_learner(config: Any, samples: Any, description: Any = description) -> Any:
            return open_torch(config, samples, context.devices(), description)

        found = results(open_learner, context.plan, network)
        with np.load(context.kit.expected(network), allow_pickle=False) as arrays:
            expected = dict(arrays)
        for difference in differences(found, expected):
            context.add(
                f"{network}, {difference.name}",
                difference.value,
                "relative difference",
                passed=difference.value <= difference.limit,
                expected=f"<= {difference.limit:g}",
            )
