"""Which exact engine is the fastest for a network on this machine: measured once, remembered."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import numpy as np

from fashionai.errors import FashionAIError, InstallationError
from fashionai.files import write_json
from fashionai.inference.engines import EXACT_ENGINES, open_engine
from fashionai.runs import RunFolder
from fashionai.runtime import compute_threads, home_folder, processor_name

log = logging.getLogger(__name__)

AUTO = "auto"
CHOICES_FILE = "engines.json"
# Fewer views than this are computed before anything would be measured.
WORTH_MEASURING = 1000
PROBE_VIEWS = 16
PROBE_REPETITIONS = 3
# Another engine has to gain this much: smaller gains are noise.
CLEAR_GAIN = 1.03
# Between probabilities of exact engines; a graph that was fused wrongly is far above it.
TOLERANCE = 1e-4


def choose_engine(run: RunFolder, contexts: Sequence[Any], views: int) -> str:
    """The fastest exact engine for so many views of a run's network on these devices.

    It is measured once for a network, crop and machine, and remembered in
    ``engines.json`` of the cache. GPUs take gluon, as do few views that nothing is
    known about.
    """
    if contexts[0].device_type != "cpu":
        return "gluon"
    file = home_folder() / CHOICES_FILE
    choices, key = _read_choices(), _key(run)
    if key not in choices:
        if views < WORTH_MEASURING:
            return "gluon"
        choices[key] = measure_engines(run, contexts)
        write_json(file, choices)
    speeds = choices[key]
    fastest = _fastest(speeds)
    listed = ", ".join(f"{name} {speed:.0f}" for name, speed in speeds.items())
    log.info("%s: engine %s (views/s: %s)", run, fastest, listed)
    return fastest


def measure_engines(run: RunFolder, contexts: Sequence[Any]) -> dict[str, float]:
    """Views per second of every exact engine that is installed and agrees with gluon."""
    crop = run.read_config().data.crop
    shape = (PROBE_VIEWS * len(contexts), crop, crop, 3)
    pixels = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    expected = np.empty(0)
    speeds = {}
    for name in EXACT_ENGINES:
        try:
            engine = open_engine(run, contexts, name)
        except InstallationError:
            continue
        except FashionAIError as error:
            if name == "gluon":
                raise
            log.info("engine %s is left out: %s", name, error.message)
            continue
        answers = engine.begin(pixels)()
        expected = answers if name == "gluon" else expected
        difference = float(np.abs(answers - expected).max())
        if not difference <= TOLERANCE:
            log.info("engine %s is left out: off by %.2g from gluon", name, difference)
            continue
        speeds[name] = len(pixels) / min(_seconds(engine, pixels) for _ in range(PROBE_REPETITIONS))
    return speeds


def _seconds(engine: Any, pixels: np.ndarray) -> float:
    begun = time.perf_counter()
    engine.begin(pixels)()
    return time.perf_counter() - begun


def _fastest(speeds: dict[str, float]) -> str:
    fastest = max(speeds, key=speeds.__getitem__)
    return fastest if speeds[fastest] > CLEAR_GAIN * speeds["gluon"] else "gluon"


def _key(run: RunFolder) -> str:
    """What decides how fast engines are: the network, the machine and the libraries."""
    config = run.read_config()
    try:
        runtime = f"onnxruntime {version('onnxruntime')}"
    except PackageNotFoundError:
        runtime = "no onnxruntime"
    return (
        f"{config.model.name} {config.data.crop} px, {processor_name()}, "
        f"{compute_threads()} threads, {runtime}"
    )


def _read_choices() -> dict[str, dict[str, float]]:
    """What was measured before; nothing where the file is missing or damaged."""
    try:
        choices = json.loads((home_folder() / CHOICES_FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return choices if isinstance(choices, dict) else {}
