"""A first configuration for a prepared task, with the figures that each choice is based on."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple, Optional

import numpy as np

from fashionai.config.schema import config_schema
from fashionai.datasets.prepared.folders import PreparedSplit, read_split, read_task
from fashionai.errors import ConfigError, DataError, closest, counted
from fashionai.families import full_names, known_task
from fashionai.files import write_json, write_text
from fashionai.files.default_folders import CONFIGS_FOLDER, RUNS_FOLDER
from fashionai.files.outputs import Kind, check_not_lost, try_place
from fashionai.files.yaml_files import dump_json, parse_scalar
from fashionai.pipeline.decode import read_header
from fashionai.tasks import Task, prepared_tasks

# The number of training images that are opened to measure the image size.
MEASURED_IMAGES = 200
# The largest short sides, in pixels, for the small network and for a crop below ImageNet's.
SMALL_SIDE, MEDIUM_SIDE = 64, 160
# With fewer training images, a deeper network mainly memorizes them.
FEW_IMAGES = 2_000
# The ratio of the largest class to the smallest from which the loss is weighted.
IMBALANCED_RATIO = 3
# The memory that a batch may take.
MEMORY_GIGABYTES = 6
# The batch size is halved until an epoch has this many steps, but not below the smallest batch.
SMALLEST_BATCH, STEPS_PER_EPOCH = 8, 16

# Of each network: the megabytes that training takes per image, measured on the CPU, and the side
# in pixels of the square images of that measurement.
MEMORY = {"small_cnn": (5.2, 64), "resnet18_v2": (26.0, 224), "resnet50_v2": (86.0, 224)}

# Beside the configuration, so that editors find it on every machine and without a network.
SCHEMA_FILE = ".fashionai.schema.json"

TEMPLATE = """\
# yaml-language-server: $schema={schema}
# {name}: {train:,} training and {val:,} validation images of {classes} classes.
#
#   fashionai train --config {path}
#   fashionai evaluate --run {run} --split val
#   fashionai classify --run {run} IMAGE
#
# A starting point, written by fashionai init; improve it by the validation scores.
# Hardware: {hardware}

task: {task}
model:
  name: {network:<19} # {network_reason}
  pretrained: {pretrained}
data:
  folder: {folder}
  # The median short side of {measured} training images is {short_side} pixels.
  # {crop_reason}
  resize_short: {resize_short:<11} # room for the random crop
  crop: {crop}
  augment:
    - {{name: random_crop}}
    - {{name: mirror, p: 0.5}} # remove it if mirroring changes the class
# Enough to show the network about {images_in_all:,} images, but from {fewest} to {most} epochs.
epochs: {epochs}
# Per device: {largest_batch}, halved until it takes at most {budget} GB and an epoch has {steps}
# steps, but not below {smallest_batch}. It takes about {memory:.2g} MB per image, {in_all} in
# all. If memory runs out, halve it and the learning rate.
batch_size: {batch_size}
# The learning rate is {lr_of_recipe} for a batch size of {largest_batch} and proportional to it;
# fashionai find-lr --config {path} tests others.
optimizer: {{name: sgd, lr: {lr:g}, momentum: 0.9, weight_decay: {weight_decay}}}
schedule: {schedule}
loss:
  # {balance}
  class_weights: {class_weights:<10} # balanced when largest/smallest is {imbalanced_ratio} or more
"""


class Recipe(NamedTuple):
    """The settings that differ between training from scratch and from ImageNet weights.

    ``lr`` is the learning rate for the batch size ``largest_batch``. Training shows
    ``images_in_all`` images, in ``fewest`` to ``most`` epochs.
    """

    pretrained: str
    hardware: str
    largest_batch: int
    lr: float
    weight_decay: str
    schedule: str
    images_in_all: int
    fewest: int
    most: int


SCRATCH = Recipe(
    pretrained="false         # from scratch: there are no published weights of small_cnn",
    hardware="2 CPU cores are enough.",
    largest_batch=128,
    lr=0.1,
    weight_decay="5e-4",
    schedule="{name: cosine, warmup_epochs: 1}",
    images_in_all=1_000_000,
    fewest=15,
    most=60,
)
PRETRAINED = Recipe(
    pretrained="true          # ImageNet weights. If they cannot be downloaded: the path\n"
    "                            # of a .params file, or false with several times the epochs",
    hardware="a GPU; without one, train prints which settings would take less time.",
    largest_batch=64,
    lr=0.01,
    weight_decay="1e-4",
    schedule="{name: one_cycle}",
    images_in_all=500_000,
    fewest=10,
    most=40,
)


class Survey(NamedTuple):
    """The figures of a prepared task.

    ``counts`` are the numbers of training images per class, ``(C,) int64``. ``short_side`` is
    the median short side, in pixels, of ``measured`` training images.
    """

    task: Task
    counts: np.ndarray
    val_images: int
    short_side: int
    measured: int

    @property
    def images(self) -> int:
        """The number of training images."""
        return int(self.counts.sum())


# People change configurations, so none is replaced without being told.
CONFIGURATION = Kind("a configuration", lambda path: False)


def write_starter_config(
    name: str, folder: Path, out: Optional[Path], overwrite: bool, rng: np.random.Generator
) -> Path:
    """Write a configuration for a task that is prepared in ``folder``; return its path.

    ``out`` defaults to configs/<short name>.yaml, and ``rng`` chooses the images to measure.
    The JSON schema that the configuration names for editors is written beside it.
    Raises DataError for a task that is not prepared, and ConfigError for a file that exists,
    unless ``overwrite`` is set, and for a folder or an image.
    """
    task = find_prepared(name, folder)
    path = out or CONFIGS_FOLDER / f"{task.short_name}.yaml"
    output = f"--out {path}"
    # Folders and images are not replaced with --overwrite either.
    check_not_lost(output, path, CONFIGURATION, overwrite=True)
    if path.exists() and not overwrite:
        raise ConfigError(f"{path}: already exists", "Give --overwrite, or another --out")
    try_place(output, path)
    text = starter_config(survey_task(task, folder, rng), folder, path)
    write_json(path.with_name(SCHEMA_FILE), config_schema())
    write_text(path, text)
    return path


def find_prepared(name: str, folder: Path) -> Task:
    """Return the task of that name or alias that is prepared in ``folder``.

    Raises DataError, with the nearest name or the command to run, when it is not prepared.
    """
    known = {each: task for task in prepared_tasks(folder) for each in (task.name, *task.aliases)}
    task = known.get(name)
    meant = closest(name, known)
    if task is None and known_task(name) is None and meant is not None:
        raise DataError(f"{folder}: no task '{name}' is prepared there", f"Did you mean '{meant}'?")
    # The error for a folder that is not prepared, or not completely, says how to prepare it.
    return read_task(folder / (task.name if task else full_names([name])[0]))


def survey_task(task: Task, folder: Path, rng: np.random.Generator) -> Survey:
    """Count the images of a prepared task, and measure some that ``rng`` chooses.

    Raises DataError as read_split does, and for a file that is not an image.
    """
    train, val = (read_split(folder / task.name, split) for split in ("train", "val"))
    sides = _short_sides(train, rng)
    counts = np.bincount(train.class_indices, minlength=len(task.classes))
    return Survey(task, counts, len(val.paths), int(np.median(sides)), len(sides))


def starter_config(survey: Survey, folder: Path, path: Path) -> str:
    """Return the text of a configuration, to be written to ``path``, for a task in ``folder``."""
    network, network_reason = _choose_network(survey)
    recipe = SCRATCH if network == "small_cnn" else PRETRAINED
    crop, crop_reason = _choose_crop(survey.short_side)
    reference, side = MEMORY[network]
    memory = reference * (crop / side) ** 2
    batch_size = _choose_batch(survey.images, recipe.largest_batch, memory)
    epochs = round(recipe.images_in_all / survey.images)
    class_weights, balance = _choose_weights(survey)
    return TEMPLATE.format(
        **{**recipe._asdict(), "lr": recipe.lr * batch_size / recipe.largest_batch},
        lr_of_recipe=recipe.lr,
        schema=SCHEMA_FILE,
        name=survey.task.short_name,
        run=RUNS_FOLDER / survey.task.short_name,
        task=_scalar(survey.task.short_name),
        path=path,
        folder=_scalar(str(folder)),
        train=survey.images,
        val=survey.val_images,
        classes=len(survey.task.classes),
        network=network,
        network_reason=network_reason,
        short_side=survey.short_side,
        measured=survey.measured,
        crop=crop,
        crop_reason=crop_reason,
        resize_short=256 if crop == 224 else crop + crop // 8,
        epochs=min(max(epochs, recipe.fewest), recipe.most),
        batch_size=batch_size,
        memory=memory,
        in_all=_size(memory * batch_size),
        budget=MEMORY_GIGABYTES,
        steps=STEPS_PER_EPOCH,
        smallest_batch=SMALLEST_BATCH,
        class_weights=class_weights,
        balance=balance,
        imbalanced_ratio=IMBALANCED_RATIO,
    )


def _short_sides(split: PreparedSplit, rng: np.random.Generator) -> list[int]:
    count = min(MEASURED_IMAGES, len(split.paths))
    sides = []
    for position in rng.choice(len(split.paths), count, replace=False):
        path = split.paths[position]
        header = read_header(path.read_bytes())
        if header is None:
            raise DataError(f"{path}: is not an image any more", "Prepare the task again")
        sides.append(min(header))
    return sides


def _choose_network(survey: Survey) -> tuple[str, str]:
    """Return the name of the network, and the reason."""
    if survey.short_side <= SMALL_SIDE:
        return "small_cnn", f"made for images of up to {SMALL_SIDE} pixels"
    if survey.short_side <= MEDIUM_SIDE:
        return "resnet18_v2", f"enough for images of up to {MEDIUM_SIDE} pixels"
    if survey.images < FEW_IMAGES:
        return "resnet18_v2", f"resnet50_v2 is for {FEW_IMAGES:,} or more training images"
    return "resnet50_v2", f"resnet18_v2 for fewer than {FEW_IMAGES:,} images or half the time"


def _choose_crop(short_side: int) -> tuple[int, str]:
    """Return the side of the crop in pixels, and the reason."""
    if short_side > MEDIUM_SIDE:
        return 224, "The crop is ImageNet's; the cost of a larger one grows with its area."
    step = 4 if short_side <= SMALL_SIDE else 32
    reason = f"The crop is the largest multiple of {step} that fits."
    return max(short_side // step * step, 8), reason


def _choose_batch(images: int, largest: int, megabytes: float) -> int:
    """Return the largest batch size that fits the memory and leaves an epoch enough steps."""
    batch = largest
    while batch > SMALLEST_BATCH and (
        batch * megabytes > 1000 * MEMORY_GIGABYTES or images < batch * STEPS_PER_EPOCH
    ):
        batch //= 2
    return batch


def _size(megabytes: float) -> str:
    return f"{megabytes:.2g} MB" if megabytes < 100 else f"{megabytes / 1000:.2g} GB"


def _choose_weights(survey: Survey) -> tuple[str, str]:
    """Return the setting of the class weights, and the figures that it is based on."""
    largest = int(survey.counts.argmax())
    smallest = int(np.where(survey.counts > 0, survey.counts, survey.images + 1).argmin())
    ratio = survey.counts[largest] / survey.counts[smallest]
    names = [" ".join(survey.task.classes[index].split())[:30] for index in (largest, smallest)]
    empty = int((survey.counts == 0).sum())
    without = f"; {counted(empty, 'class')} without images" if empty else ""
    if ratio == 1:
        subject = "Every class with images" if empty else "Every class"
        return "none", f"{subject} has {counted(survey.counts[largest], 'image')}{without}."
    figures = (
        f"Classes have from {survey.counts[smallest]:,} ({names[1]}) to "
        f"{survey.counts[largest]:,} ({names[0]}) images{without}."
    )
    return ("balanced" if ratio >= IMBALANCED_RATIO else "none"), figures


def _scalar(text: str) -> str:
    """Return the text as a YAML scalar that is read back as this text and not as a number or so."""
    try:
        return text if parse_scalar(text) == text else dump_json(text)
    except ValueError:
        return dump_json(text)
