"""Chooses the fastest exact engine for a network on this machine.

The engines are measured once per network, crop, number of threads and machine. The speeds are kept
in ``engines.json`` of the cache folder.
"""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import numpy as np
from pydantic import TypeAdapter

import fashionai
from fashionai.engines.opening import open_engine
from fashionai.engines.protocol import Engine
from fashionai.engines.registry import AUTO, EXACT_ENGINES
from fashionai.errors import FashionAIError, InstallationError
from fashionai.files import write_json
from fashionai.frameworks.devices import framework_of_devices
from fashionai.runs import Run
from fashionai.runtime import compute_threads, home_folder, processor_name

log = logging.getLogger(__name__)

SPEEDS_FILE = "engines.json"
# Computing fewer views takes less time than measuring the engines.
MIN_VIEWS_TO_MEASURE = 1000
MEASURED_VIEWS = 16
REPETITIONS = 3
# An engine replaces gluon when it is faster by this factor. Smaller gains are noise.
MIN_GAIN = 1.03

# Views per second by engine.
Speeds = dict[str, float]
_SpeedsByKey = TypeAdapter(dict[str, Speeds])


def open_chosen(run: Run, contexts: Sequence[Any], engine: str, views: int) -> tuple[str, Engine]:
    """Open an engine to compute ``views`` views of a run's network; returns its name as well.

    ``engine`` is one of ENGINES or auto, which is the fastest exact one. Errors are those of
    open_engine.
    """
    if engine != AUTO:
        return engine, open_engine(run, contexts, engine)
    return open_fastest(run, contexts, fastest_engine(run, contexts, views))


def open_fastest(run: Run, contexts: Sequence[Any], name: str) -> tuple[str, Engine]:
    """Open what fastest_engine has chosen, or gluon where that cannot be opened, with its name."""
    try:
        return name, open_engine(run, contexts, name)
    except FashionAIError as error:
        if name == framework_of_devices(contexts):
            raise
        log.info("%s: %s; using engine gluon instead", run, error.message)
        return "gluon", open_engine(run, contexts, "gluon")


def fastest_engine(run: Run, contexts: Sequence[Any], views: int) -> str:
    """The name of the fastest exact engine to compute ``views`` views of a run's network.

    It is that of the framework on GPUs, and gluon for fewer than 1,000 views of a network that was
    not measured before. Raises errors of open_engine for gluon.
    """
    if contexts[0].device_type != "cpu":
        return framework_of_devices(contexts)
    known, key = _read_speeds(), _key(run)
    if key in known:
        speeds = known[key]
    elif views < MIN_VIEWS_TO_MEASURE:
        return "gluon"
    else:
        log.info("%s: measuring the engines to choose the fastest; this takes up to a minute", run)
        speeds, complete = measure_engines(run, contexts)
        # An engine that fails with these weights may work with others of the same network.
        if complete:
            # When the cache cannot be written, the engines are measured again next time.
            with contextlib.suppress(OSError):
                write_json(home_folder() / SPEEDS_FILE, {**known, key: speeds})
    fastest = _fastest(speeds)
    listed = ", ".join(f"{name} {speed:.0f}" for name, speed in speeds.items())
    log.info("%s: using engine %s (views per second: %s)", run, fastest, listed)
    return fastest


def measure_engines(run: Run, contexts: Sequence[Any]) -> tuple[Speeds, bool]:
    """Measure the exact engines that are installed, in views per second.

    An engine that fails or disagrees with gluon is skipped; the second value is False then.
    Raises errors of open_engine for gluon.
    """
    crop = run.config.data.crop
    shape = (MEASURED_VIEWS * len(contexts), crop, crop, 3)
    pixels = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    speeds: Speeds = {}
    complete = True
    for name in EXACT_ENGINES:
        try:
            engine = open_engine(run, contexts, name)
            _seconds(engine, pixels)  # the first call also plans the graph
            seconds = min(_seconds(engine, pixels) for _ in range(REPETITIONS))
        except InstallationError:
            continue
        except FashionAIError as error:
            if name == "gluon":
                raise
            log.info("engine %s is not used: %s", name, error.message)
            complete = False
            continue
        speeds[name] = len(pixels) / seconds
    return speeds, complete


def _seconds(engine: Engine, pixels: np.ndarray) -> float:
    """How long an engine takes to compute these views."""
    start = time.perf_counter()
    engine.begin(pixels)()
    return time.perf_counter() - start


def _fastest(speeds: Speeds) -> str:
    """The fastest engine, or gluon when the gain is too small."""
    fastest = max(speeds, key=speeds.__getitem__)
    return fastest if speeds[fastest] > MIN_GAIN * speeds["gluon"] else "gluon"


def _key(run: Run) -> str:
    """Everything that the speeds depend on: the network, the machine and the libraries."""
    config = run.config
    versions = " ".join(f"{name} {_version(name)}" for name in ("onnx", "onnxruntime", "torch"))
    return (
        f"{config.model.name} {config.data.crop} px, {processor_name()}, "
        f"{compute_threads()} threads, fashionai {fashionai.__version__} {versions}"
    )


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "none"


def _read_speeds() -> dict[str, Speeds]:
    """The speeds measured before, by key; empty when the file is missing or damaged."""
    try:
        text = (home_folder() / SPEEDS_FILE).read_text(encoding="utf-8")
        by_key = _SpeedsByKey.validate_json(text)
    except (OSError, ValueError):
        return {}
    known = set(EXACT_ENGINES)
    return {
        key: speeds for key, speeds in by_key.items() if "gluon" in speeds and known >= set(speeds)
    }
