"""Measurements of speed, ours or those of the peer; see plan.Measurement."""

from __future__ import annotations

from typing import Any, Optional

from gpu_check.plan import Measurement
from gpu_check.speed import Speed, forget, largest_batch, peak_gigabytes
from gpu_check.worker import Context

# Goals of a real check.
OF_CONSTANT, OF_PEER = 0.95, 1.0
# Tries with smaller batches, where the largest one does not fit.
TRIES = 3


def run(context: Context) -> None:
    """Make the measurements of the settings one after the other."""
    context.devices()
    for values in context.settings["measurements"]:
        if context.on_gpu:
            forget()
        _with_a_batch_that_fits(context, Measurement(*values))


def _with_a_batch_that_fits(context: Context, wanted: Measurement) -> None:
    """Measure, with smaller batches where the largest one that should fit does not."""
    import torch

    batch = wanted.batch or _largest(context, wanted)
    for left in reversed(range(TRIES)):
        try:
            _measure(context, wanted, batch)
            return
        except torch.cuda.OutOfMemoryError:
            if wanted.batch is not None or not left:
                raise
        batch = max(1, int(0.85 * batch) // 64 * 64)
        forget()


def _measure(context: Context, wanted: Measurement, batch: int) -> None:
    if wanted.side == "ours":
        from gpu_check.ours import measure_ours as measure
    else:
        from gpu_check.peer import measure_peer as measure
    seconds = context.plan.seconds
    found = measure(context, wanted, batch, seconds)
    _add(context, wanted, batch, found)


def _add(context: Context, wanted: Measurement, batch: int, found: dict[str, Any]) -> None:
    """Add the speed, and its ratios to the constant batch and to the peer."""
    loop: Speed = found["loop"]
    facts = {
        "side": wanted.side,
        "precision": wanted.precision,
        "compiled": wanted.compiled,
        "batch": batch,
        "largest": wanted.batch is None,
    }
    size = f"batch {batch}" + (" (largest)" if wanted.batch is None else "")
    title = f"{wanted.precision}{', compiled' if wanted.compiled else ''}, {size}"
    earlier, fell_back = context.rows(), found.get("fell_back", False)
    context.add(
        f"{wanted.side}: {title}",
        round(loop.images_per_second, 1),
        "images/s",
        passed=False if fell_back else None,
        note="torch.compile failed, see the log" if fell_back else found.get("note", ""),
        waiting_share=round(loop.waiting_share, 4),
        host_share=round(loop.host_share, 4),
        steps=loop.steps,
        peak_gigabytes=round(peak_gigabytes(context.on_gpu), 2),
        first_step_seconds=round(found["first_step_seconds"], 1),
        **facts,
    )
    if "constant" in found:
        constant: Speed = found["constant"]
        _add_ratio(
            context,
            f"ours / one constant batch: {title}",
            loop.images_per_second / constant.images_per_second,
            OF_CONSTANT,
            constant_images_per_second=round(constant.images_per_second, 1),
            constant_host_share=round(constant.host_share, 4),
        )
    ours = _ours(earlier, facts) if wanted.side == "peer" else None
    if ours is not None:
        ratio = float(ours["value"]) / loop.images_per_second
        note = "" if ours["batch"] == batch else f"ours with batch {ours['batch']}"
        _add_ratio(context, f"ours / peer: {title}", ratio, OF_PEER, note=note)


def _add_ratio(
    context: Context, name: str, ratio: float, goal: float, note: str = "", **details: Any
) -> None:
    is_goal = context.plan.name == "full"
    context.add(
        name,
        round(ratio, 3),
        "ratio",
        expected=f"goal >= {goal:g}" if is_goal else "",
        note=note,
        goal_met=ratio >= goal if is_goal else None,
        **details,
    )


def _ours(rows: list[dict[str, Any]], facts: dict[str, Any]) -> Optional[dict[str, Any]]:
    """Our speed with the same settings; with the largest batch of each side."""
    keys = ["precision", "compiled", "largest"] + ([] if facts["largest"] else ["batch"])
    return next(
        (
            row
            for row in rows
            if row.get("side") == "ours" and all(row[key] == facts[key] for key in keys)
        ),
        None,
    )


def _largest(context: Context, wanted: Measurement) -> int:
    import torch

    memory = torch.cuda.mem_get_info()[1] / 1e9 if context.on_gpu else None
    found = largest_batch(context.rows(), wanted.side, memory)
    return found or context.plan.largest_batch
