"""The training that the part ``resume`` kills: its own process."""

from __future__ import annotations

from pathlib import Path

from gpu_check.training import train_demo
from gpu_check.worker import Context


def run(context: Context) -> None:
    """Train into the folder of the settings, or resume the run there."""
    train_demo(context, Path(context.settings["folder"]), epochs=context.plan.resume_epochs)
