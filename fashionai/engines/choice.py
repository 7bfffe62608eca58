"""Which exact engine is the fastest for a network on this machine: measured once, remembered."""

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
from fashionai.engines.opening import Engine, open_engine
from fashionai.engines.registry import EXACT_ENGINES
from fashionai.errors import FashionAIError, InstallationError
from fashionai.files import write_json
from fashionai.runs import Run
from fashionai.runtime import compute_threads, home_folder, processor_name

log = logging.getLogger(__name__)

CHOICES_FILE = "engines.json"
# Fewer views than this are computed before anything would be measured.
WORTH_MEASURING = 1000
_Choices = TypeAdapter(dict[str, dict[str, float]])
PROBE_VIEWS = 16
PROBE_REPETITIONS = 3
# Another engine has to gain this much: smaller gains are noise.
CLEAR_GAIN = 1.03


def open_fastest(run: Run, contexts: Sequence[Any], views: int) -> Engine:
    """The fastest exact engine for so many views of a run's network on these devices.

    It is measured once for a network, crop and machine, and remembered in
    ``engines.json`` of the cache. GPUs take gluon, as do few views that nothing is
    known about, and weights with which the fastest one does not agree with it.
    """
    name = _choose(run, contexts, views)
    try:
        return open_engine(run, contexts, name)
    except FashionAIError as error:
        if name == "gluon":
            raise
        log.info("%s: %s; engine gluon computes", run, error.message)
        return open_engine(run, contexts, "gluon")


def _choose(run: Run, contexts: Sequence[Any], views: int) -> str:
    if contexts[0].device_type != "cpu":
        return "gluon"
    choices, key = _read_choices(), _key(run)
    if key in choices:
        speeds = choices[key]
    elif views < WORTH_MEASURING:
        return "gluon"
    else:
        speeds, complete = measure_engines(run, contexts)
        # What other weights may do better is not for keeping. A cache that cannot be
        # written costs a measurement the next time.
        if complete:
            with contextlib.suppress(OSError):
                write_json(home_folder() / CHOICES_FILE, {**choices, key: speeds})
    fastest = _fastest(speeds)
    listed = ", ".join(f"{name} {speed:.0f}" for name, speed in speeds.items())
    log.info("%s: engine %s (views/s: %s)", run, fastest, listed)
    return fastest


def measure_engines(run: Run, contexts: Sequence[Any]) -> tuple[dict[str, float], bool]:
    """Views per second of every exact engine that is installed and agrees with gluon.

    The second value is whether that is all that are installed.
    """
    crop = run.config.data.crop
    shape = (PROBE_VIEWS * len(contexts), crop, crop, 3)
    pixels = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    speeds, complete = {}, True
    for name in EXACT_ENGINES:
        try:
            engine = open_engine(run, contexts, name)
        except InstallationError:
            continue
        except FashionAIError as error:
            if name == "gluon":
                raise
            log.info("engine %s is left out: %s", name, error.message)
            complete = False
            continue
        _seconds(engine, pixels)  # plans the graph
        speeds[name] = len(pixels) / min(_seconds(engine, pixels) for _ in range(PROBE_REPETITIONS))
    return speeds, complete


def _seconds(engine: Any, pixels: np.ndarray) -> float:
    begun = time.perf_counter()
    engine.begin(pixels)()
    return time.perf_counter() - begun


def _fastest(speeds: dict[str, float]) -> str:
    fastest = max(speeds, key=speeds.__getitem__)
    return fastest if speeds[fastest] > CLEAR_GAIN * speeds["gluon"] else "gluon"


def _key(run: Run) -> str:
    """What decides how fast engines are: the network, the machine and the libraries."""
    config = run.config
    versions = " ".join(f"{name} {_version(name)}" for name in ("onnx", "onnxruntime"))
    return (
        f"{config.model.name} {config.data.crop} px, {processor_name()}, "
        f"{compute_threads()} threads, fashionai {fashionai.__version__} {versions}"
    )


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "none"


def _read_choices() -> dict[str, dict[str, float]]:
    """What was measured before; nothing where the file is missing or damaged."""
    try:
        text = (home_folder() / CHOICES_FILE).read_text(encoding="utf-8")
        choices = _Choices.validate_json(text)
    except (OSError, ValueError):
        return {}
    known = set(EXACT_ENGINES)
    return {
        key: speeds for key, speeds in choices.items() if "gluon" in speeds and known >= set(speeds)
    }
