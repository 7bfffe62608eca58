"""How fast a machine trains and predicts, as a table, what limits it, and what to change."""

from __future__ import annotations

from typing import NamedTuple

from fashionai.reporting.tables import aligned_table

# Smaller differences are noise.
CLEAR_GAIN = 1.05
# A training that is so near to bare steps has nothing to gain from faster loading.
NEARLY_ALL = 0.95
# No training is so much faster than its own steps.
UNBELIEVABLE = 1.1
# Where int8 gains less it is not worth its calibration.
WORTH_QUANTIZING = 1.5


class Speeds(NamedTuple):
    """Images per second of every part; of ``engines``, views per second.

    ``steps`` are training steps on one batch that stays, by images a batch, with all
    ``threads``; ``fewer_threads`` are those of the configuration's batch, by threads.
    Steps and ``loop`` are ``on_features`` where frozen layers are computed once. ``left_out``
    is why an engine cannot be used.
    """

    threads: int
    on_gpu: bool
    batch_size: int
    decode: float
    loader: float
    loop: float
    on_features: bool
    steps: dict[int, float]
    fewer_threads: dict[int, float]
    engines: dict[str, float]
    left_out: dict[str, str]

    @property
    def step(self) -> float:
        """Bare training steps with the configuration's batch and all threads."""
        return self.steps[self.batch_size]


def speed_table(speeds: Speeds) -> str:
    """A line for every part that was measured."""
    rows = [
        ("decode", speeds.decode),
        ("decode, augment and assemble batches", speeds.loader),
        *((f"training step, batch {size}", speed) for size, speed in speeds.steps.items()),
        *(
            (f"training step, batch {speeds.batch_size}, OMP_NUM_THREADS={count}", speed)
            for count, speed in speeds.fewer_threads.items()
        ),
        ("training, all of it", speeds.loop),
        *((f"forward, engine {name} (views)", speed) for name, speed in speeds.engines.items()),
    ]
    cells = [(name, (f"{speed:,.1f}", f"{1000 / speed:,.2f}")) for name, speed in rows]
    return aligned_table("part", [("images/s", 12), ("ms an image", 14)], cells)


def bottleneck(speeds: Speeds) -> str:
    """What limits training, in one sentence."""
    share = speeds.loop / speeds.step
    ran = f"training runs at {share:.0%} of bare steps"
    if share > UNBELIEVABLE:
        return f"{ran}: something else uses this machine, measure again when it is idle"
    if speeds.on_features:
        return (
            "images are read and frozen layers computed once, before the first epoch; "
            f"then {ran}, the rest is files that a run keeps"
        )
    if share >= NEARLY_ALL:
        return f"computing is the bottleneck: {ran}"
    if speeds.loader < speeds.step:
        return f"loading is the bottleneck: {ran}, and batches come slower than steps take them"
    if speeds.on_gpu:
        return f"neither computing nor loading alone: {ran}"
    return f"computing is the bottleneck, and loading shares its cores: {ran}"


def advice(speeds: Speeds) -> list[str]:
    """What to change, a line each; nothing where all is well."""
    lines = []
    size = max(speeds.steps, key=speeds.steps.__getitem__)
    if speeds.steps[size] > CLEAR_GAIN * speeds.step:
        gain = speeds.steps[size] / speeds.step
        lines.append(f"batch_size={size} trains {gain:.2f} times as fast (rates depend on it)")
    if speeds.fewer_threads:
        count = max(speeds.fewer_threads, key=speeds.fewer_threads.__getitem__)
        gain = speeds.fewer_threads[count] / speeds.step
        if gain > CLEAR_GAIN:
            lines.append(f"OMP_NUM_THREADS={count} trains {gain:.2f} times as fast")
    if speeds.loader < speeds.step and not speeds.on_features:
        lines.append(_on_loading(speeds))
    lines += [f"engine {name}: {reason}" for name, reason in speeds.left_out.items()]
    return [*lines, *_on_engines(speeds.engines)]


def _on_loading(speeds: Speeds) -> str:
    if speeds.loader < speeds.decode / 2:
        return "most of loading is augmentation: fewer data.augment would help"
    return (
        "most of loading is decoding: more cores, or images whose short side is nearer to "
        "data.resize_short, would help"
    )


def _on_engines(engines: dict[str, float]) -> list[str]:
    exact = {name: speed for name, speed in engines.items() if name != "int8"}
    lines = []
    fastest = max(exact, key=exact.__getitem__)
    if exact[fastest] > CLEAR_GAIN * exact["gluon"]:
        gain = exact[fastest] / exact["gluon"]
        lines.append(f"predict takes engine {fastest} by itself: {gain:.2f} times gluon")
    if engines.get("int8", 0) > WORTH_QUANTIZING * exact[fastest]:
        gain = engines["int8"] / exact[fastest]
        lines.append(f"fashionai quantize, then predict --engine int8, is {gain:.1f} times as fast")
    return lines
