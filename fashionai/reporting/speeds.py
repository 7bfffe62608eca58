"""How fast a machine trains and predicts: a table, the bottleneck, and what to change."""

from __future__ import annotations

from typing import NamedTuple

from fashionai.reporting.tables import aligned_table

# Smaller differences are noise.
CLEAR_GAIN = 1.05
# From this share of the speed of its steps alone, training cannot gain from faster loading.
NEARLY_ALL = 0.95
# A training faster than its steps by more than this factor was measured while the machine was busy.
IMPLAUSIBLE = 1.1
# int8 must be faster than the other engines by this factor to be worth its calibration.
WORTH_QUANTIZING = 1.5


class MeasuredSpeeds(NamedTuple):
    """Images per second of every part; ``engines`` are in views per second.

    ``steps`` are training steps on one constant batch, by batch size, with all ``threads``;
    ``fewer_threads`` are the same with the configured batch size, by number of threads.
    Where frozen layers are computed once, ``steps`` and ``loop`` are ``on_features``.
    ``left_out`` says why an engine cannot be used.
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
        """Training steps on one constant batch, with the configured batch size and all threads."""
        return self.steps[self.batch_size]


def speed_table(speeds: MeasuredSpeeds) -> str:
    """One line per part that was measured."""
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
    return aligned_table("part", [("images/s", 12), ("ms per image", 14)], cells)


def bottleneck(speeds: MeasuredSpeeds) -> str:
    """The bottleneck of training, in one sentence."""
    share = speeds.loop / speeds.step
    result = f"training reaches {share:.0%} of the speed of its steps alone"
    if share > IMPLAUSIBLE:
        return f"{result}: another program uses this machine, measure again when it is idle"
    if speeds.on_features:
        return (
            "images are read and frozen layers computed once, before the first epoch; after that "
            f"{result}, and the rest of the time is for writing the files of the run"
        )
    if share >= NEARLY_ALL:
        return f"computing is the bottleneck: {result}"
    if speeds.loader < speeds.step:
        return f"loading is the bottleneck: {result}, and loading is slower than the steps"
    if speeds.on_gpu:
        return f"neither computing nor loading alone is the bottleneck: {result}"
    return f"computing is the bottleneck, and loading shares its cores: {result}"


def advice(speeds: MeasuredSpeeds) -> list[str]:
    """What to change, one line each; empty when nothing would help."""
    lines = []
    size = max(speeds.steps, key=speeds.steps.__getitem__)
    if speeds.steps[size] > CLEAR_GAIN * speeds.step:
        gain = speeds.steps[size] / speeds.step
        lines.append(
            f"batch_size={size} trains {gain:.2f} times as fast (choose optimizer.lr anew)"
        )
    if speeds.fewer_threads:
        count = max(speeds.fewer_threads, key=speeds.fewer_threads.__getitem__)
        gain = speeds.fewer_threads[count] / speeds.step
        if gain > CLEAR_GAIN:
            lines.append(f"OMP_NUM_THREADS={count} trains {gain:.2f} times as fast")
    if speeds.loader < speeds.step and not speeds.on_features:
        lines.append(_loading_advice(speeds))
    lines += [f"engine {name}: {reason}" for name, reason in speeds.left_out.items()]
    return [*lines, *_engine_advice(speeds.engines)]


def _loading_advice(speeds: MeasuredSpeeds) -> str:
    if speeds.loader < speeds.decode / 2:
        return "augmentation is most of loading: fewer steps in data.augment would help"
    return (
        "decoding is most of loading: more cores would help, or images whose short side is "
        "closer to data.resize_short"
    )


def _engine_advice(engines: dict[str, float]) -> list[str]:
    exact = {name: speed for name, speed in engines.items() if name != "int8"}
    lines = []
    fastest = max(exact, key=exact.__getitem__)
    if exact[fastest] > CLEAR_GAIN * exact["gluon"]:
        gain = exact[fastest] / exact["gluon"]
        lines.append(f"predict chooses engine {fastest}: {gain:.2f} times as fast as gluon")
    if engines.get("int8", 0) > WORTH_QUANTIZING * exact[fastest]:
        gain = engines["int8"] / exact[fastest]
        lines.append(
            f"predict --engine int8, after fashionai quantize, is {gain:.1f} times as fast"
        )
    return lines
