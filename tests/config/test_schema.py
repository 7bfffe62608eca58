"""The JSON schema of configurations accepts what loading accepts, and refuses what it refuses."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import jsonschema
import pytest

from fashionai.config import known_keys, load_config, resolve_config
from fashionai.config.augmentations import Step
from fashionai.config.schedules import SCHEDULE_MODELS
from fashionai.config.schema import config_schema
from fashionai.config.section import Section
from fashionai.errors import ConfigError
from fashionai.files.formats.yaml_files import load_yaml, parse_scalar
from tests.support.commands import ROOT, fashionai

CONFIG_FILES = sorted((ROOT / "configs").glob("*.yaml"))
SCHEMA = config_schema()
VALIDATOR = jsonschema.Draft202012Validator(SCHEMA)


def loads(tree: dict[str, Any]) -> bool:
    try:
        resolve_config(tree, "c.yaml")
    except ConfigError:
        return False
    return True


def test_the_command_prints_a_schema(capsys: pytest.CaptureFixture[str]) -> None:
    assert fashionai("config", "--schema") == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed == SCHEMA
    jsonschema.Draft202012Validator.check_schema(printed)
    assert printed["$schema"] == jsonschema.Draft202012Validator.META_SCHEMA["$id"]


@pytest.mark.parametrize("file", CONFIG_FILES, ids=lambda path: path.stem)
def test_every_file_of_configs_validates(file: Path) -> None:
    VALIDATOR.validate(load_yaml(file))
    VALIDATOR.validate(load_config(file).model_dump())


def test_every_key_is_described() -> None:
    """Editors show it: a key of a section without a description would be a bare name."""
    sections = [SCHEMA, *SCHEMA["$defs"].values()]
    bare = [
        f"{section['title']}.{key}"
        for section in sections
        for key, about in section["properties"].items()
        if not {"description", "const"} & about.keys() and "$ref" not in json.dumps(about)
    ]
    assert bare == []
    assert all(section["description"] for section in sections)


# YAML values of every kind, and some that only certain keys take. None of them is right or wrong
# beside another key alone: crop 300 would be, as it is larger than the default resize_short.
VALUES = [
    *("null", "true", "0", "1", "2", "-1", "256", "3000000000", "0.9", "''", "x", "[]", "{}"),
    *("[0.2, 0.4]", "[0.4, 0.5, 0.6]", "[0, 0.5, 1]", "[x]", "['']", "[1, 2, 3]", "[1, 2.5]"),
    *(
        "{x: 1}",
        "{x: 0}",
        "{x: -1}",
        "{x: y}",
        "{3: 1}",
        "yes",
        "5",
        "none",
        "balanced",
        "last",
        "adam",
        "all",
    ),
    *("head", "soft", "discard", "float16", "end", "skirt", "[skirt]", "[skirt, pant]", "[all]"),
    *("map", "skirt.map", "roc_auc"),
]
SEVERAL = [
    {"task": ["skirt", "pant"], "data": {"folds_file": "f.csv", "fold": 1}},
    {"task": "all"},
    {"task": "skirt", "early_stopping": {"patience": 3}},
]
SECTIONS = ("model", "data", "optimizer", "schedule", "loss", "early_stopping")


def changed(base: dict[str, Any], key: str, value: object) -> dict[str, Any]:
    section, _, leaf = key.rpartition(".")
    return {
        **base,
        **({section: {**base.get(section, {}), leaf: value}} if section else {key: value}),
    }


def with_one_key_changed(value: object) -> Iterator[dict[str, Any]]:
    for key in [*known_keys(), *SECTIONS, "x", "data.x"]:
        if key.rpartition(".")[0] not in ("schedule", "data.augment"):
            yield changed({"task": "skirt"}, key, value)
    for base in SEVERAL:
        for key in ("task", "monitor", "data.fold", "data.folds_file"):
            yield changed(base, key, value)


def with_a_named_part(value: object) -> Iterator[dict[str, Any]]:
    """Every schedule and every step with each of its keys and another's, or without its name."""
    for model in SCHEDULE_MODELS:
        for key in {**model.model_fields, "x": None}:
            yield {"task": "skirt", "schedule": {"name": default(model), key: value}}
            yield {"task": "skirt", "schedule": {key: value}}
    yield {"task": "skirt", "data": {"augment": [value]}}
    for model in get_args(Step):
        yield {"task": "skirt", "data": {"augment": [default(model)]}}
        for key in {**model.model_fields, "x": None}:
            for step in ({"name": default(model), key: value}, {key: value}):
                yield {"task": "skirt", "data": {"augment": [step]}}


def default(model: type[Section]) -> str:
    return str(model.model_fields["name"].default)


def test_the_schema_accepts_what_loading_accepts() -> None:
    values = [parse_scalar(text) for text in VALUES]
    trees = [tree for value in values for tree in with_one_key_changed(value)]
    trees += [tree for value in values for tree in with_a_named_part(value)]
    verdicts = [(tree, loads(tree), VALIDATOR.is_valid(tree)) for tree in [*trees, {}]]
    assert [tree for tree, one, other in verdicts if one != other and not beyond(tree)] == []
    assert sum(one for _, one, _ in verdicts) > 300


def beyond(tree: dict[str, Any]) -> bool:
    """Whether only something that no schema can tell is wrong: here, an unknown task."""
    names = tree["task"] if isinstance(tree["task"], list) else [tree["task"]]
    return VALIDATOR.is_valid(tree) and not set(names) <= {"skirt", "pant", "all"}


@pytest.mark.parametrize(
    "text",
    [
        "{task: skirt, data: {crop: 300, resize_short: 256}}",  # larger than resize_short
        "{task: skirt, epochs: 3.0}",
        "{task: [skirt, pant], monitor: coat.map}",
        "{task: skirt, schedule: {name: one_cycle, base_momentum: 0.96}}",
        "{task: skirt, data: {augment: [{name: zoom, factor: [2, 1]}]}}",
    ],
)
def test_what_only_loading_can_tell(text: str) -> None:
    tree = parse_scalar(text)
    assert VALIDATOR.is_valid(tree)
    assert not loads(tree)
