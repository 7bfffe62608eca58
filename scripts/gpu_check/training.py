"""The demo's training with PyTorch, through the training loop of every run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from gpu_check.descriptions import load_description
from gpu_check.plan import training_values
from gpu_check.worker import Context


def demo_trainer(context: Context, resume_from: Any = None, **changes: Any) -> Any:
    """A Trainer of the demo whose network is that of the kit; ``changes`` are dotted keys."""
    from fashionai.config import load_config
    from fashionai.training.learners.opening import Opened
    from fashionai.training.torch.opening import open_torch
    from fashionai.training.trainer import Trainer

    def opener(config: Any, train: Any, contexts: Any, resuming: bool = False, **_: Any) -> Any:
        description = load_description(context.kit.network("demo"))
        return Opened(open_torch(config, train, contexts, description), config, None)

    values = training_values(context.plan, str(context.kit.demo)) | changes
    config = load_config("demo").changed(values)
    return Trainer(config, context.devices(), resume_from, opener=opener)


def train_demo(context: Context, folder: Path, **changes: Any) -> dict[str, Any]:
    """Train the demo into a run folder, or resume it; returns the content of metrics.json."""
    from fashionai.runs import Run, RunFolder, create_run

    begun = Run(RunFolder(folder)) if RunFolder(folder).has_begun else None
    trainer = demo_trainer(context, begun, **changes)
    run = RunFolder(folder) if begun else create_run(folder)
    metrics: dict[str, Any] = trainer.fit(run)
    return metrics
