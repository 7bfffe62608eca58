"""Search spaces as YAML files: read with all errors at once, and written.

A file has the dotted keys of the configuration, each with a list of choices, or with ``low`` and
``high`` (``log``, ``step``), or with ``choices``; and ``when``, choices of other keys.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Optional, Union

from fashionai.config import Config, known_keys
from fashionai.errors import ConfigError, counted, nearest, shown, shown_value
from fashionai.files.formats.yaml_files import dump_flow, dump_json, load_yaml
from fashionai.tuning.spaces.checks import ValueChecks
from fashionai.tuning.spaces.space import Choices, Numbers, Parameter, Space, try_values

NUMBER_FIELDS = ("low", "high", "log", "step")
FIELDS = (*NUMBER_FIELDS, "choices", "when")
# What all trials share, or what a study sets itself.
NOT_TUNED = (
    *("task", "seed", "epochs", "monitor", "engine", "evaluate_test", "log"),
    *("data.folder", "data.folds_file", "data.fold", "data.workers"),
)
EXAMPLE = "a list of choices, or low and high such as {low: 0.001, high: 0.1, log: true}"


def read_space(path: Path, base: Config, *, is_checked: bool = False) -> Space:
    """The search space of a YAML file for a configuration; ConfigError with all its errors.

    Values are tried together where all of them are sound, which takes a second, unless
    ``is_checked`` tells that they have been.
    """
    tree = load_yaml(path)
    reader = _Reader(base)
    parameters = reader.read_all(tree)
    checks = ValueChecks(base, parameters)
    problems = reader.problems + checks.of_each()
    if not problems and not is_checked:
        problems = checks.of_pairs()
    if problems:
        number = counted(len(problems), "error")
        raise ConfigError("\n  ".join([f"{path}: {number} in the search space", *problems]))
    return Space([reader.with_type(parameter) for parameter in parameters])


def dump_space(space: Space) -> str:
    """The search space as YAML text, one line per parameter and per named choice."""
    return "\n".join(line for parameter in space for line in _lines(parameter)) + "\n"


def choices_of(values: list[Any]) -> Choices:
    """Choices whose names are their values as YAML has them."""
    return Choices({name_of(value): value for value in values})


def name_of(value: Any) -> str:
    """The name of a choice: its value as YAML has it."""
    return value if isinstance(value, str) else dump_flow(value)


def _lines(parameter: Parameter) -> Iterator[str]:
    domain, when = parameter.domain, {key: [*names] for key, names in parameter.when.items()}
    if isinstance(domain, Numbers):
        fields: dict[str, Any] = {"low": domain.low, "high": domain.high}
        fields |= {"log": True} if domain.log else {}
        fields |= {"step": domain.step} if domain.step is not None else {}
        fields |= {"when": when} if when else {}
        yield f"{parameter.key}: {dump_flow(fields)}"
        return
    if not when and [*domain.values] == [name_of(value) for value in domain.values.values()]:
        yield f"{parameter.key}: {dump_flow([*domain.values.values()])}"
        return
    yield f"{parameter.key}:"
    yield "  choices:"
    yield from (
        f"    {dump_json(name)}: {dump_flow(value)}" for name, value in domain.values.items()
    )
    if when:
        yield f"  when: {dump_flow(when)}"


class _Reader:
    """Reads entries, and collects the problems of all."""

    def __init__(self, base: Config) -> None:
        self._base = base
        self.problems: list[str] = []

    def read_all(self, tree: Mapping[str, Any]) -> list[Parameter]:
        """The parameters of all sound entries, each after those that its condition names."""
        found = {key: self._read(key, entry) for key, entry in tree.items()}
        if not tree:
            self.problems.append("expected at least one key of the configuration")
        for parameter in found.values():
            if parameter is not None:
                self._check_condition(parameter, found)
        return self._ordered([each for each in found.values() if each])

    def _read(self, key: str, entry: Any) -> Optional[Parameter]:
        """The parameter of an entry; None after a problem."""
        before = len(self.problems)
        self._check_key(key)
        if isinstance(entry, list):
            entry = {"choices": entry}
        if not isinstance(entry, Mapping):
            self._add(key, f"expected {EXAMPLE}, found {shown_value(entry)}")
            return None
        for name in entry:
            if name not in FIELDS:
                self._add(key, f"unknown field '{shown(name)}'. {nearest(name, FIELDS)}")
        domain = self._choices(key, entry) if "choices" in entry else self._numbers(key, entry)
        when = self._when(key, entry.get("when", {}))
        if domain is None or len(self.problems) > before:
            return None
        return Parameter(key, domain, when)

    def _ordered(self, parameters: list[Parameter]) -> list[Parameter]:
        """The parameters whose conditions are sound, each after those that its condition names."""
        left, done = {each.key: each for each in parameters}, dict[str, Parameter]()
        while left:
            ready = [each for each in left.values() if _has_choices(each.when, done)]
            if not ready:
                break
            for each in ready:
                done[each.key] = left.pop(each.key)
        if left and not self.problems:
            self._add(next(iter(left)), "its condition depends on itself")
        return [*done.values()]

    def with_type(self, parameter: Parameter) -> Parameter:
        """The parameter, with whole numbers where its key has no others."""
        domain = parameter.domain
        if not isinstance(domain, Numbers) or not _are_whole(domain):
            return parameter
        try:
            try_values(self._base, {parameter.key: domain.low + 0.5})
        except ConfigError:
            whole = Numbers(int(domain.low), int(domain.high), domain.log, domain.step, True)
            return Parameter(parameter.key, whole, parameter.when)
        return parameter

    def _check_key(self, key: str) -> None:
        is_known = any(known == key or known.startswith(f"{key}.") for known in known_keys())
        shared = [name for name in NOT_TUNED if name.startswith(f"{key}.")]
        if key in NOT_TUNED:
            self._add(key, "is the same in all trials, so it is not searched")
        elif shared:
            self._add(key, f"has {', '.join(shared)}, the same in all trials: name keys in it")
        elif not is_known:
            self._add(key, f"unknown key of the configuration. {_hint(key)}")

    def _choices(self, key: str, entry: Mapping[str, Any]) -> Optional[Choices]:
        given, others = entry["choices"], [name for name in NUMBER_FIELDS if name in entry]
        if others:
            self._add(key, f"choices do not go with {', '.join(others)}")
        if not isinstance(given, (list, Mapping)) or not given:
            self._add(key, f"choices: expected a list of values, found {shown_value(given)}")
            return None
        if isinstance(given, Mapping):
            return Choices(given)
        found = choices_of(given)
        if len(found.values) < len(given):
            self._add(key, "choices: a value is given twice")
        return found

    def _numbers(self, key: str, entry: Mapping[str, Any]) -> Optional[Numbers]:
        low, high, step = (entry.get(name) for name in ("low", "high", "step"))
        if low is None or high is None:
            self._add(key, f"expected {EXAMPLE}")
            return None
        log = entry.get("log", False)
        wrong = [
            f"{name}: expected a number, found {shown_value(value)}"
            for name, value in (("low", low), ("high", high), ("step", step))
            if not (_is_number(value) or (name == "step" and value is None))
        ]
        if not isinstance(log, bool):
            wrong.append(f"log: expected true or false, found {shown_value(log)}")
        if not wrong:
            wrong = _wrong_range(low, high, log, step)
        for problem in wrong:
            self._add(key, problem)
        return None if wrong else Numbers(low, high, log, step)

    def _when(self, key: str, given: Any) -> dict[str, list[str]]:
        """The names of choices by key; a single one may stand for a list."""
        if not isinstance(given, Mapping):
            found = shown_value(given)
            self._add(key, f"when: expected choices of other keys, found {found}")
            return {}
        listed = {
            key: value if isinstance(value, list) else [value] for key, value in given.items()
        }
        return {key: [name_of(value) for value in values] for key, values in listed.items()}

    def _check_condition(
        self, parameter: Parameter, others: Mapping[str, Optional[Parameter]]
    ) -> None:
        for key, names in parameter.when.items():
            if key not in others:
                hint = nearest(key, others)
                self._add(parameter.key, f"when: '{shown(key)}' is not searched. {hint}")
                continue
            other = others[key]
            if other is None:
                continue  # it has problems of its own
            domain = other.domain
            if not isinstance(domain, Choices):
                self._add(parameter.key, f"when: {shown(key)} has no choices, but numbers")
                continue
            for name in names:
                if name not in domain.values:
                    hint = nearest(name, domain.values)
                    self._add(parameter.key, f"when: {key} has no choice '{shown(name)}'. {hint}")

    def _add(self, key: str, problem: str) -> None:
        self.problems.append(f"{shown(key)}: {problem}")


def _has_choices(when: Mapping[str, Sequence[str]], parameters: Mapping[str, Parameter]) -> bool:
    """Whether these parameters have the choices of a condition."""
    domains = [(parameters[key].domain, names) for key, names in when.items() if key in parameters]
    return len(domains) == len(when) and all(
        isinstance(domain, Choices) and {*names} <= domain.values.keys()
        for domain, names in domains
    )


def _hint(key: str) -> str:
    """The key that was meant: of the same name in a section, or of close spelling."""
    same = [known for known in known_keys() if known.rpartition(".")[2] == key]
    if len(same) == 1:
        return f"Did you mean '{same[0]}'?"
    hint = nearest(key, known_keys())
    return hint if hint.startswith("Did") else "fashionai config FILE prints all keys"


def _is_number(value: Any) -> bool:
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return is_number and math.isfinite(value)


def _are_whole(domain: Numbers) -> bool:
    numbers: list[Union[int, float]] = [domain.low, domain.high]
    numbers += [] if domain.step is None else [domain.step]
    return all(type(number) is int for number in numbers)


def _wrong_range(low: float, high: float, log: bool, step: Optional[float]) -> list[str]:
    """What is wrong with numbers that are given together."""
    wrong = []
    if low >= high:
        wrong.append(f"low {low} is not below high {high}")
    if log and low <= 0:
        wrong.append(f"log: low is {low}, expected a number > 0")
    if step is not None and step <= 0:
        wrong.append(f"step: expected a number > 0, found {step}")
    if step is not None and log:
        wrong.append("step and log exclude each other")
    return wrong
