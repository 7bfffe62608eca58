"""How fast this machine trains and predicts with a configuration's network."""

from __future__ import annotations

import gc
import multiprocessing
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import ExitStack, contextmanager, suppress
from itertools import repeat
from pathlib import Path
from typing import Any, NamedTuple, Optional, TypeVar

import cv2
import numpy as np

from fashionai.config import Config
from fashionai.datasets.prepared.folders import plan_folders, read_split, write_folders
from fashionai.datasets.prepared.samples import read_samples
from fashionai.datasets.records import LabelledImage
from fashionai.demo.data_set import DEMO_TASKS
from fashionai.demo.garments import draw
from fashionai.engines.opening import open_engine
from fashionai.engines.registry import engines_on
from fashionai.errors import ConfigError, FashionAIError, TrainingError
from fashionai.families import find_task
from fashionai.models.mixed_precision import check_precision
from fashionai.pipeline.augment import TrainingTransform
from fashionai.pipeline.decode import read_image
from fashionai.pipeline.loader import Loader
from fashionai.progress import Advance
from fashionai.quantization import quantize
from fashionai.reporting.speeds import Speeds
from fashionai.runs import Run, RunFolder, create_run
from fashionai.runtime import contexts, import_mxnet, usable_cores
from fashionai.tasks import Task
from fashionai.training.gluon.inputs import FeatureInputs
from fashionai.training.gluon.learner import Learner
from fashionai.training.trainer import Trainer

mx = import_mxnet()

# Training images of a measurement: batches enough for decoding to run ahead of steps.
BATCHES, FEWEST_IMAGES = 4, 64
VALIDATION_IMAGES = 16
# Drawn images have about the sides of FashionAI's, in pixels.
DRAWN_WIDTH = 512
# Views that an engine computes at once: four images with ten crops.
VIEWS = 40
STEPS_AT_ONCE = 2
FEWEST_MEASUREMENTS = 3

T = TypeVar("T")


class Setting(NamedTuple):
    """A configuration on devices, and about how many ``seconds`` to measure each part."""

    config: Config
    device: str
    gpus: Sequence[int]
    seconds: float

    def contexts(self) -> list[Any]:
        """The devices."""
        return contexts(self.device, self.gpus)


def measure(setting: Setting, drawn: bool, progress: Advance) -> Speeds:
    """Measure every part, with random weights, on some of the prepared training images.

    With ``drawn`` images are drawn instead. ``progress`` is told the number of threads under way.
    Nothing is kept. Raises DataError for a folder that is not prepared, and what training
    and engines raise.
    """
    threads, devices = usable_cores(), setting.contexts()
    check_precision(setting.config.precision, devices)
    with ExitStack() as stack:
        name = stack.enter_context(tempfile.TemporaryDirectory(prefix="fashionai-"))
        # Features of frozen layers that nobody will ask for again.
        stack.enter_context(_environment("FASHIONAI_HOME", str(Path(name) / "home")))
        config = _sampled(setting.config, Path(name) / "data", drawn, len(devices))
        setting = setting._replace(config=config)
        progress(threads)
        speeds = _in_process(threads, _measure_all, setting, Path(name) / "run")
        if not speeds.on_gpu and threads > 1:
            progress(threads // 2)
            step = _in_process(threads // 2, _measure_steps, setting, config.batch_size)
            speeds = speeds._replace(fewer_threads={threads // 2: step})
    return speeds


def _sampled(config: Config, folder: Path, drawn: bool, devices: int) -> Config:
    """Make prepared folders of a few images, and a copy of the configuration that uses them.

    Its batch is smaller where there are not images enough.
    """
    wanted = max(FEWEST_IMAGES, BATCHES * config.batch_size * devices) + VALIDATION_IMAGES
    rows = 0
    for name in config.task_names:
        if drawn:
            task = find_task(name)
            images = _drawn_images(task, wanted)
        else:
            task, images = _prepared_images(Path(config.data.folder) / name, wanted)
        held_out = min(VALIDATION_IMAGES, len(images) // 2)
        rows += len(images) - held_out
        splits = ["val"] * held_out + ["train"] * (len(images) - held_out)
        write_folders(folder / name, task, plan_folders(images, splits), "symlink")
    return config.changed(
        {
            "data.folder": str(folder),
            "data.folds_file": None,
            "data.fold": None,
            "model.pretrained": False,
            # A rate that lets no random weights diverge.
            "optimizer.lr": 1e-6,
            "epochs": 2,
            "batch_size": max(1, min(config.batch_size, rows // devices)),
            "evaluate_test": "never",
            "early_stopping": {},
        }
    )


def _prepared_images(folder: Path, wanted: int) -> tuple[Task, list[LabelledImage]]:
    """Some images of a prepared folder's training split."""
    split = read_split(folder, "train")
    rows = np.random.default_rng(0).permutation(len(split.paths))[:wanted].tolist()
    classes = split.class_indices
    return split.task, [
        _image(split.task, int(classes[row]), split.sources[row], path=split.paths[row])
        for row in rows
    ]


def _drawn_images(task: Task, wanted: int) -> list[LabelledImage]:
    """Garments of the demo, enlarged; ConfigError for other tasks."""
    if task.name not in DEMO_TASKS:
        raise ConfigError(
            f"{task.name}: images of {', '.join(DEMO_TASKS)} can be drawn, no others",
            "Prepare the task and name its configuration with --config",
        )
    images = []
    for number in range(wanted):
        index, rng = number % len(task.classes), np.random.default_rng(number)
        picture = draw(task, index, None, rng)
        scale = DRAWN_WIDTH / picture.shape[1]
        large = cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_CUBIC)
        content = cv2.imencode(".jpg", large, [cv2.IMWRITE_JPEG_QUALITY, 90])[1].tobytes()
        images.append(_image(task, index, f"{number}.jpg", content=content))
    return images


def _image(
    task: Task,
    index: int,
    source: str,
    *,
    path: Optional[Path] = None,
    content: Optional[bytes] = None,
) -> LabelledImage:
    label = "".join("ny"[at == index] for at in range(len(task.classes)))
    return LabelledImage(source, path, content, index, label, source)


def _in_process(threads: int, run: Callable[..., T], *arguments: Any) -> T:
    """Run a function in a process of its own: MXNet starts its threads once."""
    spawn = multiprocessing.get_context("spawn")
    with _environment("OMP_NUM_THREADS", str(threads)), ProcessPoolExecutor(1, spawn) as pool:
        try:
            return pool.submit(run, *arguments).result()
        except BrokenProcessPool:
            raise TrainingError(
                "the process that measures was killed, perhaps for want of memory",
                "A smaller batch_size needs less",
            ) from None


@contextmanager
def _environment(name: str, value: str) -> Iterator[None]:
    before = os.environ.get(name)
    os.environ[name] = value
    try:
        yield
    finally:
        del os.environ[name]
        if before is not None:
            os.environ[name] = before


def _measure_all(setting: Setting, run_path: Path) -> Speeds:
    config, devices = setting.config, setting.contexts()
    run, paths = create_run(run_path), read_samples(config, "train").paths
    loop, on_features = _measure_loop(config, run, devices)
    engines, left_out = _measure_engines(Run.open(run_path), devices, setting.seconds)
    return Speeds(
        threads=usable_cores(),
        on_gpu=devices[0].device_type == "gpu",
        batch_size=config.batch_size,
        decode=_rate(setting.seconds, lambda: _decode(config, paths)),
        loader=_rate(setting.seconds, lambda: _load(config, paths)),
        loop=loop,
        on_features=on_features,
        steps=_measure_batches(setting, devices, len(paths)),
        fewer_threads={},
        engines=engines,
        left_out=left_out,
    )


def _measure_loop(config: Config, run: RunFolder, devices: list[Any]) -> tuple[float, bool]:
    """Images per second of training as a whole, and whether it was on features.

    Of two epochs the first has warmed up.
    """
    trainer = Trainer(config, devices)
    trainer.fit(run)
    on_features = isinstance(trainer.learner.inputs, FeatureInputs)
    return float(trainer.progress.history[-1]["images_per_second"]), on_features


def _measure_batches(setting: Setting, devices: list[Any], rows: int) -> dict[int, float]:
    """Training steps with the configuration's batch, half and, on GPUs, twice as many images.

    ``rows`` is how many images there are.
    """
    size = setting.config.batch_size
    speeds = {each: _measure_steps(setting, each) for each in dict.fromkeys((size, size // 2 or 1))}
    if devices[0].device_type == "gpu" and 2 * size * len(devices) <= rows:
        # What is too large for a GPU's memory is an error there, and no end of the process.
        with suppress(mx.base.MXNetError):
            speeds[2 * size] = _measure_steps(setting, 2 * size)
    return speeds


def _rate(seconds: float, run: Callable[[], int]) -> float:
    """Images per second: the median over runs, which return their images; the first warms up."""
    run()
    rates: list[float] = []
    begun = time.perf_counter()
    while len(rates) < FEWEST_MEASUREMENTS or time.perf_counter() - begun < seconds:
        start = time.perf_counter()
        images = run()
        rates.append(images / (time.perf_counter() - start))
    return statistics.median(rates)


def _decode(config: Config, paths: Sequence[Path]) -> int:
    short_side = TrainingTransform(config.data).decode_short
    with ThreadPoolExecutor(config.data.workers or usable_cores()) as pool:
        return sum(1 for _ in pool.map(read_image, paths, repeat(short_side)))


def _load(config: Config, paths: Sequence[Path]) -> int:
    transform, workers = TrainingTransform(config.data), config.data.workers
    loader = Loader(paths, transform, config.batch_size, workers=workers)
    return sum(len(batch.rows) for batch in loader.batches(np.arange(len(paths))))


def _measure_steps(setting: Setting, batch_size: int) -> float:
    """Training steps on one batch that stays, images per second."""
    gc.collect()  # Gluon's blocks refer to each other: those before would keep their memory.
    config = setting.config.changed({"batch_size": batch_size})
    learner = Learner(config, read_samples(config, "train"), setting.contexts())
    batch = next(learner.batches(0))

    def steps() -> int:
        for step in range(STEPS_AT_ONCE):
            result = learner.step(batch, 0, step, config.optimizer.lr, config.optimizer.momentum)
        learner.read(result)
        mx.nd.waitall()
        return STEPS_AT_ONCE * len(batch.rows)

    return _rate(setting.seconds, steps)


def _measure_engines(
    run: Run, devices: list[Any], seconds: float
) -> tuple[dict[str, float], dict[str, str]]:
    """Views per second of each engine that the devices have, and why others cannot be used."""
    crop = run.config.data.crop
    shape = (VIEWS * len(devices), crop, crop, 3)
    pixels = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    speeds, left_out = {}, {}
    for name in engines_on(devices[0].device_type):
        try:
            if name == "int8":
                quantize(run, images=VALIDATION_IMAGES, max_loss=float("inf"))
            engine = open_engine(run, devices, name)
        except FashionAIError as error:
            if name == "gluon":
                raise
            left_out[name] = str(error)
            continue

        def forward(begin: Callable[..., Any] = engine.begin) -> int:
            begin(pixels)()
            return len(pixels)

        speeds[name] = _rate(seconds, forward)
    return speeds, left_out
