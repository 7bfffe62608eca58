"""A YAML file plus overrides ``dotted.key=value`` to a configuration, all errors at once."""

from __future__ import annotations

import copy
import functools
import json
import shlex
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Optional, get_args, get_type_hints

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from fashionai.config.augmentations import AUGMENTATIONS, Step
from fashionai.config.models import Config
from fashionai.config.schedules import SCHEDULE_MODELS, SCHEDULES
from fashionai.config.section import Section
from fashionai.config.sections import DataConfig
from fashionai.errors import ConfigError, choose_from, counted, nearest, shown, shown_value
from fashionai.families import find_known_task, full_names, known_task, known_tasks
from fashionai.files import write_text
from fashionai.files.formats.yaml_files import dump_yaml, is_text, load_yaml, parse_scalar
from fashionai.files.paths import PathLike
from fashionai.packaged_configs import find_config
from fashionai.tasks import Task, prepared_tasks

# Of more problems than these, only the number is told.
MOST_PROBLEMS = 50
# Sections lie in the top level; class weights, one deeper.
DEEPEST_SECTION = 2


def load_config(
    path: PathLike, overrides: Sequence[str] = (), known_tasks: Sequence[Task] = ()
) -> Config:
    """The configuration of a YAML file with ``key=value`` overrides applied.

    Args:
        path: YAML file, or the name of a packaged configuration.
        overrides: Texts ``dotted.key=value``, with the value in YAML.
        known_tasks: Tasks that the configuration may name, in addition to the known tasks and
            those that are prepared in its ``data.folder``.

    Returns:
        The configuration with all keys, checked.

    Raises:
        ConfigError: Unknown tasks and keys and wrong values, all of them in one message.

    Example:
        >>> config = fashionai.load_config("skirt", ["epochs=10"])
        >>> config.optimizer.lr
    """
    file = find_config(path)
    if not file.exists() and not any(file.parent.glob("*.yaml")):
        raise ConfigError(f"{path}: no such file", "Write one with: fashionai init TASK")
    return resolve_config(load_yaml(file), str(path), overrides, known_tasks)


def resolve_config(
    tree: Mapping[str, Any],
    name: str,
    overrides: Sequence[str] = (),
    known_tasks: Sequence[Task] = (),
) -> Config:
    """The configuration of keys and values that errors call by ``name``, see load_config."""
    if not isinstance(tree, Mapping):
        raise ConfigError(f"{name}: expected keys with values, found {shown_value(tree)}")
    # A section whose keys are all commented out is an empty section.
    tree = {key: {} if value is None and _is_section(key) else value for key, value in tree.items()}
    problems = _apply_overrides(tree, overrides)
    config, found = _validate(tree)
    problems += _unknown_tasks(tree, known_tasks)
    if config is None or problems:
        raise ConfigError(_listed(name, problems, found))
    return config


def with_overrides(tree: Mapping[str, Any], name: str, overrides: Sequence[str]) -> dict[str, Any]:
    """A copy of keys and values with ``key=value`` overrides applied; errors as load_config."""
    changed = copy.deepcopy(dict(tree))
    problems = _apply_overrides(changed, overrides)
    if problems:
        raise ConfigError(_listed(name, problems, []))
    return changed


def _apply_overrides(tree: dict[str, Any], overrides: Sequence[str]) -> list[str]:
    """Set dotted keys in the tree; the problems of those that cannot be set."""
    # schedule.name first: it drops the keys of the file's schedule, not those of overrides.
    ordered = sorted(overrides, key=lambda text: not text.startswith("schedule.name="))
    return [problem for override in ordered for problem in _apply_override(tree, override)]


def _listed(name: str, problems: Sequence[str], found: Sequence[ErrorDetails]) -> str:
    """All problems, one on each line. The nearest names take a while, so not of thousands."""
    total = len(problems) + len(found)
    lines = [*problems[:MOST_PROBLEMS]]
    lines += [_describe(details) for details in found[: MOST_PROBLEMS - len(lines)]]
    if total > len(lines):
        lines.append(f"and {total - len(lines):,} more")
    return "\n  ".join([f"{name}: {counted(total, 'error')} in the configuration", *lines])


def save_config(config: Config, path: Path) -> None:
    """Write the fully resolved configuration as YAML."""
    write_text(path, dump_config(config))


def dump_config(config: Config) -> str:
    """The fully resolved configuration as YAML text, keys in the models' order."""
    return dump_yaml(config.model_dump())


def value_at(tree: Mapping[str, Any], key: str) -> Any:
    """The value of a dotted key in nested mappings; None for a key that they do not have."""
    node: Any = tree
    for part in key.split("."):
        node = node.get(part) if isinstance(node, Mapping) else None
    return node


def differing_keys(one: Config, other: Config) -> list[str]:
    """Dotted keys whose values differ, each as ``key: a, not b``."""
    first, second = _flatten(one.model_dump()), _flatten(other.model_dump())
    return [
        f"{key}: {_as_yaml(first.get(key))}, not {_as_yaml(second.get(key))}"
        for key in {**first, **second}
        if first.get(key) != second.get(key)
    ]


def shown_keys(config: Config) -> dict[str, str]:
    """The value of every dotted key as text; a mapping, such as weights by class, is one value."""
    return {key: _as_yaml(value) for key, value in _values_of(config)}


def _values_of(section: Section, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """The values of a section and of those below it, by their dotted keys."""
    plain = section.model_dump()
    for name in type(section).model_fields:
        value = getattr(section, name)
        if isinstance(value, Section):
            yield from _values_of(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", plain[name]


def _as_yaml(value: Any) -> str:
    """A value as a configuration has it: ``true``, ``null``."""
    return json.dumps(value) if value is None or isinstance(value, bool) else str(value)


def _apply_override(tree: dict[str, Any], override: str) -> list[str]:
    """Set one dotted key in the tree; a list with the problem when that cannot be done."""
    key, separator, text = override.partition("=")
    if not separator or not key:
        return [f"override '{shown(override)}': expected key=value, for instance optimizer.lr=0.01"]
    if not is_text(key):
        return [f"override '{shown(override)}': the key is not UTF-8 text"]
    try:
        value = parse_scalar(text)
    except ValueError as error:
        return [f"override '{shown(override)}': the value is not valid YAML: {error}"]
    if key.startswith("data.augment."):
        return [
            f"{shown(key)}: give the whole list, for instance "
            "'data.augment=[{name: mirror, p: 0.5}]'"
        ]
    *parents, leaf = key.split(".")
    if len(parents) > DEEPEST_SECTION:
        return [_unknown_key(key)]
    node = tree
    for parent in parents:
        child = node.setdefault(parent, {})
        if not isinstance(child, dict):
            # A section that is not a mapping is reported when the tree is validated.
            return [] if _is_section(parent) else [_unknown_key(key)]
        node = child
    # Another schedule has other keys: except for the warm-up, those of the former one are removed.
    if leaf == "name" and parents == ["schedule"] and node.get("name") != value:
        for former in [key for key in node if key != "warmup_epochs"]:
            del node[former]
    node[leaf] = value
    return []


def _validate(tree: Mapping[str, Any]) -> tuple[Optional[Config], list[ErrorDetails]]:
    try:
        return Config.model_validate(tree), []
    except ValidationError as error:
        return None, error.errors()


def _unknown_tasks(tree: Mapping[str, Any], known: Sequence[Task]) -> list[str]:
    """A problem for every task that is neither built in, nor prepared, nor known otherwise."""
    task, data = tree.get("task"), tree.get("data")
    folder = data.get("folder") if isinstance(data, dict) else None
    folder = folder if isinstance(folder, str) else None  # another type has an error of its own
    names = task if isinstance(task, list) else [task]
    full = full_names(name for name in names if isinstance(name, str))
    unknown = [name for name in full if known_task(name) is None]
    if not unknown:
        return []
    place = Path(folder or DataConfig().folder)
    prepared = prepared_tasks(place)
    problems = []
    for name in unknown[:MOST_PROBLEMS]:
        try:
            find_known_task(name, [*known, *prepared])
        except ConfigError as error:
            listed = f"task: several tasks are a list, 'task=[{shown(name)}]'"
            if folder and not place.is_dir() and "Did you mean" not in str(error):
                problems.append(
                    f"data.folder: {shown(str(place))} does not exist, "
                    f"task '{shown(name)}' is not known"
                )
            else:
                problems.append(
                    listed if "," in name else f"task: {error}{_hint_at_own(error, name)}"
                )
    return problems


def _hint_at_own(error: ConfigError, name: str) -> str:
    """How to prepare a task of the user's own, where the name is not a misspelt one."""
    if "Did you mean" in str(error):
        return ""
    return f". For your own images: fashionai prepare --task {shlex.quote(shown(name))} --csv FILE"


def _describe(details: ErrorDetails) -> str:
    """One validation error as ``key: what was found and expected``."""
    # Pydantic puts the name of a union's member into the path: it is no key of the file.
    # Of a key that is no text it gives no path.
    place = [str(part) for part in details["loc"]] or [str(details["input"])]
    at = 1 if place[0] == "schedule" else 3 if place[:2] == ["data", "augment"] else len(place)
    key = ".".join(place[:at] + place[at + 1 :])
    kind, found = details["type"], details["input"]
    if kind == "extra_forbidden":
        return _unknown_key(key, place[at] if at < len(place) else "")
    key = shown(key)
    if kind == "missing":
        names = (task.short_name for task in known_tasks())
        return f"{key}: missing. {choose_from(names)}"  # only task has no default
    if kind in ("union_tag_invalid", "union_tag_not_found"):
        choices = SCHEDULES if place[0] == "schedule" else AUGMENTATIONS
        name = details.get("ctx", {}).get("tag")
        if name is None:
            return f"{key}.name: missing. {choose_from(choices)}"
        return f"{key}.name: found '{shown(name)}'. {nearest(name, choices)}"
    if kind in ("model_type", "model_attributes_type"):
        return f"{key}: expected keys with values, found {shown_value(found)}"
    # "list should have at least 3 items after validation, not 2": what was found follows anyway.
    message = details["msg"].removeprefix("Value error, ").partition(" after validation")[0]
    message = message[0].lower() + message[1:]
    if kind == "value_error":  # our own validators say what was found
        return f"{key}: {message}"
    if isinstance(found, (dict, BaseModel)):
        return f"{key}: {message}, found keys with values"
    return f"{key}: {message}, found {shown_value(found)}"


def _unknown_key(key: str, chosen: str = "") -> str:
    """Says which key was meant: of that name in another section, or of close spelling.

    ``chosen`` is the name that decides which keys there are, of a schedule or a step.
    """
    key = shown(key)
    leaf = key.rpartition(".")[2]
    if chosen:
        own = [model for model in (*get_args(Step), *SCHEDULE_MODELS) if _name_of(model) == chosen]
        return f"{key}: unknown key of {chosen}. {nearest(leaf, own[0].model_fields)}"
    known = known_keys()
    same_leaf = [choice for choice in known if choice.rpartition(".")[2] == leaf]
    if len(same_leaf) == 1:
        return f"{key}: unknown key. Did you mean '{same_leaf[0]}'?"
    sections = dict.fromkeys(choice.rpartition(".")[0] for choice in known if "." in choice)
    hint = nearest(key, known if "." in key else [*sections, *known])
    if not hint.startswith("Did"):
        hint = "fashionai config FILE prints all keys"
    return f"{key}: unknown key. {hint}"


def _name_of(model: type[Section]) -> str:
    return str(model.model_fields["name"].default)


def _is_section(key: str) -> bool:
    """Whether a key of the top level holds keys itself."""
    return any(known.startswith(f"{key}.") for known in known_keys())


def known_keys() -> list[str]:
    """Every dotted key that a configuration may hold."""
    return [*_all_keys()]


@functools.cache
def _all_keys() -> tuple[str, ...]:
    return tuple(_keys_of(Config))


def _keys_of(annotation: Any) -> list[str]:
    """Dotted keys below a type: those of a section, or of each section in a union."""
    if isinstance(annotation, type) and issubclass(annotation, Section):
        hints = get_type_hints(annotation)
        keys = []
        for name in annotation.model_fields:
            below = _keys_of(hints[name])
            keys += [f"{name}.{key}" for key in below] or [name]
        return keys
    return list(dict.fromkeys(key for member in get_args(annotation) for key in _keys_of(member)))


def _flatten(tree: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in tree.items():
        if isinstance(value, dict):
            flat.update(_flatten(value, f"{prefix}{key}."))
        else:
            flat[f"{prefix}{key}"] = value
    return flat
