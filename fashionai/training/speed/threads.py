"""The number of threads that a training on the CPU computes with: given, recorded or measured.

More threads are slower where the network is small or other programs use the cores. The number
decides the last bits of a result, so it is chosen once, before a framework starts its threads, and
recorded in the state of the run. As a program, this module measures one number of threads.
"""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Optional

from fashionai.config import Config, load_config, save_config
from fashionai.datasets.prepared.samples import read_samples
from fashionai.errors import counted
from fashionai.frameworks.driver import compute_capabilities
from fashionai.frameworks.processes import current_place
from fashionai.models.catalogue import COST_PER_SECOND, relative_cost
from fashionai.runs import RunFolder
from fashionai.runtime import THREADS_VARIABLE, usable_cores
from fashionai.training.learners.engine_choice import prefers_torch, wanted_engine
from fashionai.training.records.checkpoint import read_threads
from fashionai.training.speed.estimate import (
    Speed,
    config_to_measure,
    keeps_features,
    training_seconds,
)

log = logging.getLogger(__name__)

# Shorter trainings are not worth the measuring, which takes some ten seconds for each number.
LONG_SECONDS = 300
MEASURED_SECONDS = 3.0
MOST_SECONDS_TO_MEASURE = 45
# A number is preferred to one thread per core if it is faster by this factor.
CLEAR_GAIN = 1.2


def choose_threads(
    config: Config,
    begun: Iterable[RunFolder],
    device: str,
    gpus: Sequence[int],
    *,
    trainings: int = 1,
) -> Config:
    """Set ``$OMP_NUM_THREADS`` for a training on the CPU, unless the user has set it.

    A training that has ``begun`` goes on with its number. For a new one that takes long on MXNet,
    the fastest number is measured, and the configuration is returned with MXNet as its engine,
    which that number suits. ``trainings`` are done one after the
    other, as for the folds of a cross-validation, whose runs are ``begun``. Does nothing where a
    framework has started its threads already. Raises DataError for a folder that is not prepared,
    ConfigError for an unknown network.
    """
    is_started = "mxnet" in sys.modules or "torch" in sys.modules
    on_gpu = device != "cpu" and (device == "gpu" or bool(gpus) or bool(compute_capabilities()))
    several = current_place().count > 1
    if THREADS_VARIABLE in os.environ or is_started or on_gpu or several:
        return config
    states = [folder.states_file for folder in begun if folder.has_begun]
    if states:
        recorded = next(filter(None, map(read_threads, states)), None)
        if recorded is not None:
            os.environ[THREADS_VARIABLE] = str(recorded)
        return config
    if usable_cores() == 1 or not _takes_long(config, trainings):
        return config
    number = _measured(config)
    if number is None:
        return config
    os.environ[THREADS_VARIABLE] = str(number)
    return config.changed({"engine": "gluon"})


def _takes_long(config: Config, trainings: int) -> bool:
    """Whether trainings are worth the measuring: on MXNet, and minutes in all, by their cost."""
    if wanted_engine(config) == "torch":
        return False
    train, val = (len(read_samples(config, split, pseudo=True).paths) for split in ("train", "val"))
    if prefers_torch(config, config.epochs * train):
        return False
    seconds = relative_cost(config.model.name, config.data.crop) / COST_PER_SECOND
    speed = Speed(seconds, seconds / 3)
    seconds = training_seconds(config, speed, train, val, config.epochs)
    return trainings * seconds > LONG_SECONDS


def _measured(config: Config) -> Optional[int]:
    """The fastest number of threads; None where it cannot be measured."""
    cores = usable_cores()
    numbers = sorted({cores, cores // 2, 1}, reverse=True)
    log.info("measuring how many threads train fastest; OMP_NUM_THREADS sets a number")
    speeds: dict[int, float] = {}
    with tempfile.TemporaryDirectory(prefix="fashionai-") as folder:
        file = Path(folder) / "config.yaml"
        save_config(config_to_measure(config).changed({"engine": "gluon"}), file)
        for number in numbers:
            speeds[number] = _speed_in_process(file, number)
    best = max(speeds, key=speeds.__getitem__)
    if not speeds[best]:
        log.info(
            "not measured within %d s: training with one thread per core", MOST_SECONDS_TO_MEASURE
        )
        return None
    chosen = best if speeds[best] > CLEAR_GAIN * speeds[cores] else cores
    listed = ", ".join(f"{counted(each, 'thread')} {speeds[each]:.1f}" for each in numbers)
    log.info("images/s with %s: this training computes with %d", listed, chosen)
    return chosen


def _speed_in_process(file: Path, threads: int) -> float:
    """Images per second in a process with so many threads; 0 if it fails or takes too long."""
    try:
        done = subprocess.run(
            [sys.executable, "-m", __name__, str(file)],
            capture_output=True,
            text=True,
            check=False,
            env={**os.environ, THREADS_VARIABLE: str(threads)},
            timeout=MOST_SECONDS_TO_MEASURE,
        )
        return float(done.stdout.split()[-1]) if done.returncode == 0 else 0.0
    except (subprocess.TimeoutExpired, ValueError, IndexError):
        return 0.0


def _measure(file: Path) -> float:
    """Images per second of the training steps of a configuration, or of its features."""
    # Imported here: they import a framework, which the process that trains must not do yet.
    from fashionai.frameworks.choice import choose_devices
    from fashionai.training.speed.step_speed import measure_forward, measure_steps, open_random

    config = load_config(file)
    contexts = choose_devices("gluon", "cpu").contexts
    learner = open_random(config.changed({"trainable": "all"}), contexts)
    measure = measure_forward if keeps_features(config) else measure_steps
    return measure(learner, MEASURED_SECONDS)


if __name__ == "__main__":
    print(_measure(Path(sys.argv[1])))
