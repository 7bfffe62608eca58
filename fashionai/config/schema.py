"""The JSON schema of configurations, for editors and other programs.

Types, ranges, defaults and descriptions come from the models. What their
validators demand beyond these is added here, as far as a schema can say it: it
cannot compare two values (``crop`` with ``resize_short``), tell 3.0 from 3, or
know which tasks are prepared.
"""

from __future__ import annotations

import re
from typing import Any

from fashionai.config.augmentations import AUGMENTATIONS
from fashionai.config.models import LAST, Config
from fashionai.config.phases import TRAINABLE
from fashionai.config.sections import (
    CLASS_WEIGHTS,
    LARGEST_WEIGHT,
    SMALLEST_WEIGHT,
    SWITCHES,
)
from fashionai.families import ALL, known_tasks
from fashionai.metrics import SCORE_NAMES

DIALECT = "https://json-schema.org/draft/2020-12/schema"

_TASK_NAME = {"type": "string", "minLength": 1}
_TASK = {
    "anyOf": [
        {**_TASK_NAME, "examples": [*(task.short_name for task in known_tasks()), ALL]},
        {"type": "array", "items": _TASK_NAME, "minItems": 1},
    ]
}
_WEIGHT = {"type": "number", "minimum": SMALLEST_WEIGHT, "maximum": LARGEST_WEIGHT}
_CLASS_WEIGHTS = {
    "anyOf": [
        {"enum": list(CLASS_WEIGHTS)},
        {"type": "object", "additionalProperties": _WEIGHT},
    ]
}
_EPOCHS = {"type": "number", "exclusiveMinimum": 0}
_LAYERS = {
    "anyOf": [
        {"enum": list(TRAINABLE)},
        {
            "type": "object",
            "properties": dict.fromkeys(TRAINABLE, _EPOCHS),
            "additionalProperties": False,
            "minProperties": 1,
        },
    ]
}
_FOLD_AND_FILE_OR_NEITHER = [
    {"properties": {"fold": {"type": "null"}, "folds_file": {"type": "null"}}},
    {
        "properties": {"fold": {"type": "integer"}, "folds_file": {"type": "string"}},
        "required": ["fold", "folds_file"],
    },
]
# A step of the augmentation may be its name alone.
_STEP_NAME = {"enum": list(AUGMENTATIONS)}
_SCORES = list(SCORE_NAMES)
_MONITOR = rf"^((.+\.)?({'|'.join(map(re.escape, _SCORES))})|{LAST})$"
_STOPS_EARLY = {"properties": {"patience": {"type": "integer"}}, "required": ["patience"]}
_LAST_AND_STOPS_EARLY = {
    "properties": {"monitor": {"const": LAST}, "early_stopping": _STOPS_EARLY},
    "required": ["monitor", "early_stopping"],
}
# With a single task there are no scores of one task among several. "all" stands for several.
_ONE_NAME = {"type": "string", "not": {"const": ALL}}
_SINGLE_TASK = {"anyOf": [_ONE_NAME, {"type": "array", "items": _ONE_NAME, "maxItems": 1}]}


def config_schema() -> dict[str, Any]:
    """The JSON schema (draft 2020-12) of a configuration file, as plain values for JSON."""
    schema = Config.model_json_schema()
    for definition in schema["$defs"].values():
        _require_name_that_decides(definition)
    _add_rules_of_data(schema["$defs"]["DataConfig"])
    schema["$defs"]["LossConfig"]["properties"]["class_weights"].update(_CLASS_WEIGHTS)
    schema["properties"]["trainable"].update(_LAYERS)
    schema["$defs"]["ModelConfig"]["properties"]["pretrained"]["not"] = {"enum": [*SWITCHES]}
    keys = schema["properties"]
    keys["task"].update(_TASK)
    keys["monitor"]["pattern"] = _MONITOR
    keys.update({key: _or_null(value) for key, value in keys.items() if _is_section(value)})
    return {
        "$schema": DIALECT,
        **schema,
        "title": "fashionai configuration",
        "if": {"properties": {"task": _SINGLE_TASK}},
        "then": {"properties": {"monitor": {"enum": [*_SCORES, LAST]}}},
        "not": _LAST_AND_STOPS_EARLY,
    }


def _require_name_that_decides(definition: dict[str, Any]) -> None:
    """The name of a schedule or of a step says which one it is, so a file has to give it."""
    name = definition["properties"].get("name", {})
    if "const" in name:
        definition["required"] = ["name"]
        name.pop("default")


def _add_rules_of_data(definition: dict[str, Any]) -> None:
    definition["anyOf"] = _FOLD_AND_FILE_OR_NEITHER
    steps = definition["properties"]["augment"]
    steps["items"] = {"anyOf": [steps["items"], _STEP_NAME]}
    channels = [each for each in definition["properties"]["std"]["anyOf"] if "items" in each]
    channels[0]["items"]["exclusiveMinimum"] = 0


def _is_section(key: dict[str, Any]) -> bool:
    """Whether a key holds keys that all have defaults, which those of a schedule do not."""
    return "$ref" in key or "allOf" in key  # allOf: pydantic before 2.9


def _or_null(section: dict[str, Any]) -> dict[str, Any]:
    """A section whose keys are all commented out is null in YAML, and has its defaults."""
    about: dict[str, Any] = {}
    for name in ("title", "description", "default"):
        if name in section:
            about[name] = section[name]
    rest = {name: value for name, value in section.items() if name not in about}
    return {**about, "anyOf": [rest, {"type": "null"}]}
