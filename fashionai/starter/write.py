"""Writes a first configuration for a prepared task."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple, Optional

import numpy as np

from fashionai.config import Config, resolve_config, with_overrides
from fashionai.config.schema import config_schema
from fashionai.datasets.prepared.folders import find_prepared
from fashionai.errors import ConfigError
from fashionai.files import write_json, write_text
from fashionai.files.default_folders import CONFIGS_FOLDER
from fashionai.files.names import is_writable_as_text
from fashionai.files.outputs import Kind, check_not_lost, try_place
from fashionai.frameworks.choice import choose_devices
from fashionai.frameworks.driver import compute_capabilities
from fashionai.models.catalogue import find_network
from fashionai.starter.plans import Machine, Plan, fit_time, recommend, takes_small_network
from fashionai.starter.survey import Survey, survey_task
from fashionai.starter.text import SCHEMA_FILE, starter_text, starter_tree
from fashionai.starter.timing import measure_network
from fashionai.starter.wishes import NO_WISHES, Wishes
from fashionai.training.speed.estimate import Speed
from fashionai.weights.availability import (
    NOTHING,
    Obtainable,
    find_obtainable,
    has_weights,
    where_weights_are,
)

# People change configurations, so none is replaced without being told.
CONFIGURATION = Kind("a configuration", lambda path: False)


class Starter(NamedTuple):
    """A first configuration: its figures and choices, its keys and values, and its text."""

    survey: Survey
    plan: Plan
    tree: dict[str, Any]
    text: str


def write_starter(
    name: str,
    folder: Path,
    out: Optional[Path],
    overwrite: bool,
    wishes: Wishes = NO_WISHES,
) -> tuple[Path, Starter]:
    """Write a configuration for a task that is prepared in ``folder``; return its path, and it.

    ``out`` defaults to configs/<short name>.yaml. The JSON schema that the configuration names
    for editors is written beside it. Raises DataError for a task that is not prepared, and
    ConfigError for a file that exists, unless ``overwrite`` is set, for a folder or an image,
    and for wrong overrides.
    """
    task = find_prepared(name, folder)
    path = out or CONFIGS_FOLDER / f"{task.short_name}.yaml"
    output = f"--out {path}"
    # Folders and images are not replaced with --overwrite either.
    check_not_lost(output, path, CONFIGURATION, overwrite=True)
    if path.exists() and not overwrite:
        raise ConfigError(f"{path}: already exists", "Give --overwrite, or another --out")
    try_place(output, path)
    starter = make_starter(name, folder, path, wishes)
    write_json(path.with_name(SCHEMA_FILE), config_schema())
    write_text(path, starter.text)
    return path, starter


def make_starter(name: str, folder: Path, path: Path, wishes: Wishes = NO_WISHES) -> Starter:
    """The configuration for a task that is prepared in ``folder``, to be written to ``path``.

    Raises DataError for a task that is not prepared, and ConfigError for wrong overrides and for a
    name that is not UTF-8.
    """
    # Before anything is measured.
    for place in (folder, path):
        if not is_writable_as_text(str(place)):
            raise ConfigError(
                f"{place}: the name is not UTF-8, expected one that a configuration can hold",
                "Rename it",
            )
    if wishes.model is not None:
        find_network(wishes.model)
    survey = survey_task(find_prepared(name, folder), folder, np.random.default_rng(0))
    on_gpu = bool(compute_capabilities())
    machine = Machine(on_gpu, _obtainable(survey, wishes))
    return plan_starter(survey, machine, folder, path, wishes)


def plan_starter(
    survey: Survey, machine: Machine, folder: Path, path: Path, wishes: Wishes = NO_WISHES
) -> Starter:
    """The configuration for the figures of a task and a machine; errors as for make_starter."""

    def tree_of(plan: Plan) -> dict[str, Any]:
        return with_overrides(starter_tree(survey, plan, folder, wishes), "init", wishes.overrides)

    def resolve(plan: Plan) -> Config:
        return resolve_config(tree_of(plan), "init", (), [survey.task])

    plan = recommend(survey, machine, wishes)
    # Wrong overrides are refused before anything is measured.
    engine = resolve(plan).engine
    if wishes.seconds is not None:
        measure = _measure(survey, folder, engine)
        plan = fit_time(survey, machine, wishes, wishes.seconds, measure, resolve)
    tree = tree_of(plan)
    return Starter(survey, plan, tree, starter_text(survey, plan, tree, path, wishes))


def _obtainable(survey: Survey, wishes: Wishes) -> Obtainable:
    """The networks to choose from; nobody is asked where there is no choice."""
    if wishes.pretrained is False:
        return NOTHING
    if wishes.model is not None:
        if has_weights(wishes.model):
            return Obtainable((find_network(wishes.model),), where_weights_are(wishes.model))
        return NOTHING
    return NOTHING if takes_small_network(survey, wishes) else find_obtainable()


def _measure(survey: Survey, folder: Path, engine: str) -> Any:
    devices = choose_devices().contexts[:1]

    def measure(network: str, crop: int) -> Speed:
        task = survey.task.short_name
        return measure_network(task, str(folder), network, crop, survey.images, devices, engine)

    return measure
