"""A configuration as YAML text, with a comment on each choice."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from fashionai.config import LAST
from fashionai.errors import counted
from fashionai.files.default_folders import RUNS_FOLDER
from fashionai.files.formats.yaml_files import dump_flow, dump_json, parse_scalar
from fashionai.files.paths import argument_in_comment
from fashionai.metrics import advice_on_validation
from fashionai.starter.plans import (
    MEMORY_GIGABYTES,
    SMALLEST_BATCH,
    STEPS_PER_EPOCH,
    Plan,
)
from fashionai.starter.survey import Survey
from fashionai.starter.wishes import Wishes
from fashionai.training.speed.estimate import duration

# The ratio of the largest class to the smallest from which the loss is weighted.
IMBALANCED_RATIO = 3
# Beside the configuration, so that editors find it on every machine and without a network.
SCHEMA_FILE = ".fashionai.schema.json"
# The column at which comments beside values begin.
COMMENT_COLUMN = 30
MOST_COLUMNS = 90
# Sections and lists that have a line for each of their keys or items.
SECTIONS = ("model", "data", "loss")


class Note(NamedTuple):
    """The comment on a key: lines above it, and what stands beside its value."""

    above: Sequence[str] = ()
    beside: str = ""


GIVEN = Note((), "as given to fashionai init")


def starter_text(
    survey: Survey, plan: Plan, tree: Mapping[str, Any], path: Path, wishes: Wishes
) -> str:
    """The text of a configuration ``tree``, to be written to ``path``.

    What ``wishes`` give has no reason.
    """
    notes = {**_notes(survey, plan), **_notes_on_wishes(wishes)}
    if wishes.given("optimizer.lr") is None:
        beside = notes.get("optimizer", Note()).beside
        notes["optimizer"] = Note(_about_rate(plan, path), beside)
    header = _header(survey, plan, path)
    lines = [*(f"# {line}".rstrip() for line in header), "", *_lines(tree, notes)]
    return "\n".join(lines) + "\n"


def starter_tree(survey: Survey, plan: Plan, folder: Path, wishes: Wishes) -> dict[str, Any]:
    """The keys and values of a plan, for a task that is prepared in ``folder``.

    Those of ``wishes`` are not in it, but what does not go with them is left out.
    """
    recipe = plan.recipe
    weights = _ratio(survey) >= IMBALANCED_RATIO and not wishes.balances
    keeps_last = advice_on_validation(survey.val_images) and not wishes.stops_early
    return {
        "task": survey.task.short_name,
        "model": {"name": plan.network, "pretrained": recipe.pretrained},
        "trainable": recipe.trainable,
        "data": {
            "folder": str(folder),
            "crop": plan.crop,
            "augment": [dict(step) for step in recipe.augment],
        },
        "epochs": plan.epochs,
        "batch_size": plan.batch_size,
        "optimizer": {
            "name": recipe.optimizer["name"],
            "lr": float(f"{plan.lr:g}"),
            **recipe.optimizer,
        },
        "schedule": dict(recipe.schedule),
        "loss": {"class_weights": "balanced" if weights else "none"},
        **({"monitor": LAST} if keeps_last else {}),
    }


def _header(survey: Survey, plan: Plan, path: Path) -> list[str]:
    name, config = survey.task.short_name, argument_in_comment(path)
    run = RUNS_FOLDER / name
    uncertain = textwrap.wrap(_sentence(advice_on_validation(survey.val_images)), MOST_COLUMNS)
    estimated = [] if plan.seconds is None else [f"Estimated time on this machine: {_time(plan)}."]
    return [
        f"yaml-language-server: $schema={SCHEMA_FILE}",
        f"{name}: {counted(survey.images, 'training image')} and "
        f"{counted(survey.val_images, 'validation image')} of "
        f"{counted(len(survey.task.classes), 'class')}.",
        "",
        f"  fashionai train --config {config}",
        *([f"  fashionai cross-validate --config {config}"] if uncertain else []),
        f"  fashionai evaluate --run {run} --split val",
        f"  fashionai classify --run {run} IMAGE",
        "",
        "A starting point, written by fashionai init; improve it by the validation scores.",
        *estimated,
        *uncertain,
    ]


def _sentence(text: str) -> str:
    return f"{text.capitalize()}." if text else ""


def _time(plan: Plan) -> str:
    return f"about {duration(plan.seconds or 0)}"


def _notes_on_wishes(wishes: Wishes) -> dict[str, Note]:
    """The notes on what is given, and on what follows from that."""
    notes = {}
    if wishes.epochs is not None:
        notes["epochs"] = Note((), "those of trainable")
    if wishes.balances:
        notes["loss.class_weights"] = Note((), "data.sampler balances the classes")
    return {**notes, **dict.fromkeys(map(_line_of, wishes.keys), GIVEN)}


def _notes(survey: Survey, plan: Plan) -> dict[str, Note]:
    recipe = plan.recipe
    learns = "ImageNet weights" if recipe.pretrained else "random weights"
    size = f"The median short side of {survey.measured} training images is {survey.short_side}"
    return {
        "model.name": Note((), plan.network_reason),
        "model.pretrained": Note((), learns),
        "trainable": Note((), recipe.reason),
        "data.crop": Note((f"{size} pixels.", plan.crop_reason)),
        "data.augment": Note((), "" if recipe.augment else "each image is computed only once"),
        "data.augment.mirror": Note((), "remove it if mirroring changes the class"),
        "epochs": Note(
            (
                f"As many as show the network {counted(recipe.images_in_all, 'image')}, but at "
                f"least {recipe.fewest} and at most {recipe.most}"
                + ("." if plan.seconds is None else "; fewer if the time is short."),
            )
        ),
        "batch_size": Note(_about_batch(plan)),
        "monitor": Note((), "few validation images choose an epoch by chance"),
        "loss.class_weights": Note(
            (_balance(survey),), f"balanced when largest/smallest is {IMBALANCED_RATIO} or more"
        ),
    }


def _about_rate(plan: Plan, path: Path) -> list[str]:
    recipe, name = plan.recipe, plan.recipe.optimizer["name"]
    size = "batch size" if plan.accumulate == 1 else "batch size times accumulate"
    rate = f"The learning rate is {recipe.lr} for a {size} of {recipe.largest_batch} and"
    lines = [f"{rate} proportional to it;"]
    if recipe.lr is None:
        lines = [f"No learning rate of {name} is known for these images: this is the default;"]
    return [*lines, f"fashionai find-lr --config {argument_in_comment(path)} tests others."]


def _about_batch(plan: Plan) -> list[str]:
    steps = f"an epoch has {STEPS_PER_EPOCH} steps, but not below {SMALLEST_BATCH}."
    if plan.recipe.keeps_features:
        return [f"Per device: {plan.largest_batch}, halved until {steps}"]
    return [
        f"Per device: {plan.largest_batch}, halved until it takes at most "
        f"{MEMORY_GIGABYTES} GB and",
        f"{steps} It takes up to {plan.memory:.2g} MB per image,",
        f"{_size(plan.memory * plan.batch_size)} in all. If memory runs out, halve it and the "
        "learning rate.",
    ]


def _size(megabytes: float) -> str:
    return f"{megabytes:.2g} MB" if megabytes < 100 else f"{megabytes / 1000:.2g} GB"


def _ratio(survey: Survey) -> float:
    """The ratio of the largest class to the smallest that has images."""
    return float(survey.counts.max() / survey.counts[survey.counts > 0].min())


def _balance(survey: Survey) -> str:
    """The numbers of images that the class weights are based on."""
    largest = int(survey.counts.argmax())
    smallest = int(np.where(survey.counts > 0, survey.counts, survey.images + 1).argmin())
    names = [" ".join(survey.task.classes[index].split())[:30] for index in (largest, smallest)]
    empty = int((survey.counts == 0).sum())
    without = f"; {counted(empty, 'class')} without images" if empty else ""
    if _ratio(survey) == 1:
        subject = "Every class with images" if empty else "Every class"
        return f"{subject} has {counted(survey.counts[largest], 'image')}{without}."
    return (
        f"Classes have from {survey.counts[smallest]:,} ({names[1]}) to "
        f"{survey.counts[largest]:,} ({names[0]}) images{without}."
    )


def _lines(tree: Mapping[str, Any], notes: Mapping[str, Note], prefix: str = "") -> list[str]:
    """The lines of a mapping with their comments; ``prefix`` is that of its dotted keys."""
    indent = "  " * prefix.count(".")
    lines = []
    for key, value in tree.items():
        note = notes.get(prefix + key, Note())
        lines += [f"{indent}# {line}" for line in note.above]
        if key in SECTIONS and isinstance(value, Mapping) and value:
            lines += [f"{indent}{key}:", *_lines(value, notes, f"{prefix}{key}.")]
        elif key == "augment" and isinstance(value, list) and value:
            lines.append(_beside(f"{indent}{key}:", note.beside))
            lines += [f"{indent}  - {_step(step, notes, prefix + key)}" for step in value]
        else:
            lines.append(_beside(f"{indent}{key}: {_value(value)}", note.beside))
    return lines


def _step(step: Any, notes: Mapping[str, Note], key: str) -> str:
    name = step.get("name") if isinstance(step, Mapping) else step
    return _beside(_value(step), notes.get(f"{key}.{name}", Note()).beside)


def _beside(text: str, comment: str) -> str:
    return f"{text:<{COMMENT_COLUMN}} # {comment}" if comment else text


def _line_of(key: str) -> str:
    """The dotted key of the line that shows a key: mappings outside of sections have one line."""
    first = key.partition(".")[0]
    return key if first in SECTIONS else first


def _value(value: Any) -> str:
    """Return a value as YAML on one line; text so that it is read back as this text."""
    if not isinstance(value, str):
        return dump_flow(value)
    try:
        return value if parse_scalar(value) == value else dump_json(value)
    except ValueError:
        return dump_json(value)
