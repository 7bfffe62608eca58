"""Measures how fast this machine trains and predicts with the network of a configuration."""

from __future__ import annotations

import multiprocessing
import os
import tempfile
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
from fashionai.families import find_known_task
from fashionai.frameworks.choice import choose_devices, one_of
from fashionai.pipeline.augment import TrainingTransform
from fashionai.pipeline.decode import read_image
from fashionai.pipeline.loader import Loader
from fashionai.progress import Advance
from fashionai.quantization import quantize
from fashionai.reporting.speeds import MeasuredSpeeds
from fashionai.runs import Run, RunFolder, create_run
from fashionai.runtime import usable_cores
from fashionai.tasks import Task
from fashionai.training.batches.inputs import FeatureInputs
from fashionai.training.learners.engine_choice import check_engine, wanted_engine
from fashionai.training.speed.estimate import SAFE_LR, config_of_last_phase
from fashionai.training.speed.step_speed import images_per_second, measure_steps, open_random
from fashionai.training.trainer import Trainer

# Training images: enough batches for decoding to run ahead of the steps, and at least MIN_IMAGES.
BATCHES, MIN_IMAGES = 4, 64
VALIDATION_IMAGES = 16
# The width of drawn images in pixels, about that of FashionAI's images.
DRAWN_WIDTH = 512
# Views per forward pass of an engine: four images with ten crops.
VIEWS = 40

T = TypeVar("T")


class BenchmarkSettings(NamedTuple):
    """A configuration, its devices, and the approximate ``seconds`` to measure each part."""

    config: Config
    device: str
    gpus: Sequence[int]
    seconds: float

    def contexts(self) -> list[Any]:
        """The devices."""
        return one_of(choose_devices(wanted_engine(self.config), self.device, self.gpus))


def measure(settings: BenchmarkSettings, drawn: bool, progress: Advance) -> MeasuredSpeeds:
    """Measure every part, with random weights, on a sample of the prepared training images.

    With ``drawn``, images are drawn instead. ``progress`` is called with the number of threads
    before they are used. All files are temporary. Raises DataError for a folder that is not
    prepared, and the errors of training and of the engines.
    """
    threads, devices = usable_cores(), settings.contexts()
    check_engine(settings.config, devices)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="fashionai-")))
        # The features of frozen layers are temporary, too.
        stack.enter_context(_environment("FASHIONAI_HOME", str(folder / "home")))
        config = _sampled(settings.config, folder / "data", drawn, len(devices))
        settings = settings._replace(config=config)
        progress(threads)
        speeds = _in_process(threads, _measure_all, settings, folder / "run")
        if not speeds.on_gpu and threads > 1:
            progress(threads // 2)
            step = _in_process(threads // 2, _measure_steps, settings, config.batch_size)
            speeds = speeds._replace(fewer_threads={threads // 2: step})
    return speeds


def _sampled(config: Config, folder: Path, drawn: bool, devices: int) -> Config:
    """Write prepared folders of a few images, and return a configuration that uses them.

    Its batch size is smaller if there are too few images.
    """
    wanted = max(MIN_IMAGES, BATCHES * config.batch_size * devices) + VALIDATION_IMAGES
    train_images = 0
    for name in config.task_names:
        if drawn:
            task = find_known_task(name)
            images = _drawn_images(task, wanted)
        else:
            task, images = _prepared_images(Path(config.data.folder) / name, wanted)
        held_out = min(VALIDATION_IMAGES, len(images) // 2)
        train_images += len(images) - held_out
        splits = ["val"] * held_out + ["train"] * (len(images) - held_out)
        write_folders(folder / name, task, plan_folders(images, splits), "symlink")
    return config_of_last_phase(config).changed(
        {
            "data.folder": str(folder),
            "data.folds_file": None,
            "data.fold": None,
            "model.pretrained": False,
            "optimizer.lr": SAFE_LR,
            "epochs": 2,
            "batch_size": max(1, min(config.batch_size, train_images // devices)),
            "accumulate": 1,
            "evaluate_test": "never",
            "early_stopping": {},
        }
    )


def _prepared_images(folder: Path, wanted: int) -> tuple[Task, list[LabelledImage]]:
    """A task and up to ``wanted`` images of its training split, chosen at random."""
    split = read_split(folder, "train")
    rows = np.random.default_rng(0).permutation(len(split.paths))[:wanted].tolist()
    classes = split.class_indices
    return split.task, [
        _image(split.task, int(classes[row]), split.sources[row], path=split.paths[row])
        for row in rows
    ]


def _drawn_images(task: Task, wanted: int) -> list[LabelledImage]:
    """Enlarged garments of the demo; ConfigError for a task that the demo does not draw."""
    if task.name not in DEMO_TASKS:
        raise ConfigError(
            f"{task.name}: cannot draw images of this task, expected {', '.join(DEMO_TASKS)}",
            "Prepare the task and give its configuration with --config",
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
    label = "".join("y" if each == index else "n" for each in range(len(task.classes)))
    return LabelledImage(source, path, content, index, label, source)


def _in_process(threads: int, run: Callable[..., T], *arguments: Any) -> T:
    """Run a function in its own process, because MXNet starts its threads only once."""
    spawn = multiprocessing.get_context("spawn")
    with _environment("OMP_NUM_THREADS", str(threads)), ProcessPoolExecutor(1, spawn) as pool:
        try:
            return pool.submit(run, *arguments).result()
        except BrokenProcessPool:
            raise TrainingError(
                "the measuring process was killed, possibly because memory ran out",
                "A smaller batch_size needs less memory",
            ) from None


@contextmanager
def _environment(name: str, value: str) -> Iterator[None]:
    """Set an environment variable while in this context."""
    before = os.environ.get(name)
    os.environ[name] = value
    try:
        yield
    finally:
        del os.environ[name]
        if before is not None:
            os.environ[name] = before


def _measure_all(settings: BenchmarkSettings, run_path: Path) -> MeasuredSpeeds:
    """Measure every part with the number of threads of this process."""
    config, devices, seconds = settings.config, settings.contexts(), settings.seconds
    run, paths = create_run(run_path), read_samples(config, "train").paths
    loop, on_features = _measure_loop(config, run, devices)
    engines, left_out = _measure_engines(Run.open(run_path), devices, seconds)
    return MeasuredSpeeds(
        threads=usable_cores(),
        on_gpu=devices[0].device_type == "gpu",
        batch_size=config.batch_size,
        decode=images_per_second(seconds, lambda: _decode(config, paths)),
        loader=images_per_second(seconds, lambda: _load(config, paths)),
        loop=loop,
        on_features=on_features,
        steps=_measure_batch_sizes(settings, devices, len(paths)),
        fewer_threads={},
        engines=engines,
        left_out=left_out,
    )


def _measure_loop(config: Config, run: RunFolder, devices: list[Any]) -> tuple[float, bool]:
    """Images per second of a whole training, and whether it trains on features.

    The speed is that of the second epoch; the first one warms up.
    """
    trainer = Trainer(config, devices)
    trainer.fit(run)
    on_features = isinstance(trainer.learner.inputs, FeatureInputs)
    return float(trainer.progress.history[-1]["images_per_second"]), on_features


def _measure_batch_sizes(
    settings: BenchmarkSettings, devices: list[Any], images: int
) -> dict[int, float]:
    """Training steps with the configured batch size, its half and, on GPUs, its double.

    ``images`` is the number of training images.
    """
    size = settings.config.batch_size
    speeds = {size: _measure_steps(settings, size)}
    if size > 1:
        speeds[size // 2] = _measure_steps(settings, size // 2)
    if devices[0].device_type == "gpu" and 2 * size * len(devices) <= images:
        # A batch that exceeds a GPU's memory raises an error, which does not end the process.
        with suppress(TrainingError):
            speeds[2 * size] = _measure_steps(settings, 2 * size)
    return speeds


def _decode(config: Config, paths: Sequence[Path]) -> int:
    short_side = TrainingTransform(config.data).decode_short
    with ThreadPoolExecutor(config.data.workers or usable_cores()) as pool:
        return sum(1 for _ in pool.map(read_image, paths, repeat(short_side)))


def _load(config: Config, paths: Sequence[Path]) -> int:
    transform, workers = TrainingTransform(config.data), config.data.workers
    loader = Loader(paths, transform, config.batch_size, workers=workers)
    return sum(len(batch.rows) for batch in loader.batches(np.arange(len(paths))))


def _measure_steps(settings: BenchmarkSettings, batch_size: int) -> float:
    """Images per second of training steps on one constant batch."""
    config = settings.config.changed({"batch_size": batch_size})
    return measure_steps(open_random(config, settings.contexts()), settings.seconds)


def _measure_engines(
    run: Run, devices: list[Any], seconds: float
) -> tuple[dict[str, float], dict[str, str]]:
    """Views per second of each engine for these devices, and why other engines cannot be used."""
    crop = run.config.data.crop
    shape = (VIEWS * len(devices), crop, crop, 3)
    pixels = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    speeds, left_out = {}, {}
    for name in engines_on(devices[0].device_type):
        try:
            if name == "int8":
                quantize(run, images=VALIDATION_IMAGES, max_loss=float("inf"))
            engine = open_engine(run, devices, name)

            def forward(begin: Callable[..., Any] = engine.begin) -> int:
                begin(pixels)()
                return len(pixels)

            speeds[name] = images_per_second(seconds, forward)
        except FashionAIError as error:
            if name == "gluon":
                raise
            left_out[name] = str(error)
    return speeds, left_out
