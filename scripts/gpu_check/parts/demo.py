"""The demo trained to its mAP."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

from gpu_check.training import train_demo
from gpu_check.worker import Context


def run(context: Context) -> None:
    """Add the mAP, which must come close to that of MXNet, and the seconds."""
    begun = time.monotonic()
    with tempfile.TemporaryDirectory() as scratch:
        metrics = train_demo(context, Path(scratch) / "run")
    seconds = time.monotonic() - begun
    found, theirs = metrics["best"]["map"], context.kit.facts()["demo_map"]
    least = max(0.0, theirs - context.plan.map_margin)
    context.add(
        f"mAP after {context.plan.demo_epochs} epochs",
        found,
        passed=found >= least,
        expected=f">= {least:.3f}",
        note=f"MXNet on the CPU: {theirs:.3f}",
    )
    context.add("training", round(seconds, 1), "s")
