"""What is wrong with the values of a search space, each by itself and with choices of others."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Optional

from fashionai.config import Config
from fashionai.errors import ConfigError, shown
from fashionai.files.formats.yaml_files import dump_json
from fashionai.models.catalogue import find_network
from fashionai.models.networks.registry import WITH_DROP_PATH
from fashionai.tuning.spaces.space import Choices, Parameter, Space, try_values

# The characters of a message, and of each name in it: names are values, such as long lists.
LONGEST_PROBLEM, LONGEST_NAME = 240, 60

# The names of the choices that parameters may have, by key.
Names = dict[str, list[str]]


class ValueChecks:
    """Tries the values of parameters in a configuration.

    Args:
        base: The configuration.
        parameters: Parameters whose conditions name choices of parameters before them.
    """

    def __init__(self, base: Config, parameters: Sequence[Parameter]) -> None:
        self._base = base
        self._parameters = parameters
        self._by_key = {each.key: each for each in parameters}
        self._tried: dict[str, list[str]] = {}

    def of_each(self) -> list[str]:
        """A problem for each value that no trial can have."""
        found = []
        for key, parameter in self._by_key.items():
            names = self._allowed(parameter) or {}
            context = self._values({other: allowed[0] for other, allowed in names.items()})
            for name, value in parameter.domain.samples():
                found += [
                    _about(key, name, problem) for problem in self._refused({**context, key: value})
                ]
        return found

    def of_pairs(self) -> list[str]:
        """The problems of values that go with no choice, or not with all choices, of another one.

        Each value is tried with each choice of one other parameter. All others have the values of
        the configuration, or their first ones where the space does not hold those.
        """
        own = Space(self._parameters).params_of(self._base)
        told = set[frozenset[str]]()
        found = []
        for one in self._parameters:
            others = [each for each in self._parameters if isinstance(each.domain, Choices)]
            problems = {
                other.key: self._of_pair(one, other, own)
                for other in others
                if other is not one and frozenset((one.key, other.key)) not in told
            }
            problems = {key: problem for key, problem in problems.items() if problem}
            told |= {frozenset((one.key, key)) for key in problems}
            found += [*problems.values()] or self._of_usual_trial(one, own, told)
        return found

    def _of_pair(self, one: Parameter, other: Parameter, own: Mapping[str, Any]) -> str:
        """The problem of one parameter with some choices of another, empty without one.

        Values that go with none of these choices, and choices that no trial can have without this
        parameter either, are a problem of something else.
        """
        allowed = self._allowed(one, other)
        if allowed is None:
            return ""  # never in one trial
        names = [
            name
            for name, value in other.domain.samples()
            if name in allowed.get(other.key, [name])
            and not self._refused_without(one, other, (name, value), allowed, own)
        ]
        refused: dict[str, str] = {}
        for sample in one.domain.samples():
            if sample[0] not in allowed.get(one.key, [sample[0]]):
                continue
            of_value: dict[str, str] = {}
            for name in names:
                trial = self._trial(one, sample, {**allowed, other.key: [name]}, own)
                for problem in self._refused_in_trial(trial):
                    of_value.setdefault(name, problem)
            if len(of_value) < len(names):
                refused = {**of_value, **refused}
        if not refused:
            return ""
        suitable = [name for name in names if name not in refused]
        way_out = f". Add when: {{{other.key}: [{', '.join(suitable)}]}}" if suitable else ""
        problem = next(iter(refused.values())).rstrip(".")
        of_others = ", ".join(shown(name, LONGEST_NAME) for name in refused)
        without = f"does not go with {other.key} {of_others} ({problem}){way_out}"
        return shown(f"{one.key}: {without}", LONGEST_PROBLEM)

    def _refused_without(
        self,
        one: Parameter,
        other: Parameter,
        sample: tuple[str, Any],
        allowed: Names,
        own: Mapping[str, Any],
    ) -> bool:
        """Whether a value is refused where the first parameter is that of the configuration."""
        trial = self._trial(other, sample, allowed, own)
        trial.pop(one.key, None)
        return bool(self._refused_in_trial(trial))

    def _of_usual_trial(
        self, one: Parameter, own: Mapping[str, Any], told: set[frozenset[str]]
    ) -> list[str]:
        """The problems of a parameter's values that no other choice helps."""
        allowed = self._allowed(one)
        if allowed is None or any(one.key in pair for pair in told):
            return []
        return [
            _about(one.key, sample[0], problem)
            for sample in one.domain.samples()
            for problem in self._refused_in_trial(self._trial(one, sample, allowed, own))[:1]
        ]

    def _allowed(self, *parameters: Parameter) -> Optional[Names]:
        """The names of choices with which these parameters exist in one trial; None if never."""
        allowed: Names = {}
        left = [*parameters]
        while left:
            for key, names in left.pop().when.items():
                both = [name for name in allowed.get(key, names) if name in names]
                if not both:
                    return None
                allowed[key] = both
                left.append(self._by_key[key])
        return allowed

    def _trial(
        self, one: Parameter, sample: tuple[str, Any], allowed: Names, own: Mapping[str, Any]
    ) -> dict[str, Any]:
        """The values of a trial with this one, as far as allowed those of the configuration."""
        if isinstance(one.domain, Choices):
            allowed = {**allowed, one.key: [sample[0]]}
        names: dict[str, Any] = {}
        for parameter in self._parameters:
            key, domain = parameter.key, parameter.domain
            if isinstance(domain, Choices) and (key in allowed or parameter.is_active(names)):
                choices = allowed.get(key, [*domain.values])
                names[key] = own[key] if own.get(key) in choices else choices[0]
        return {**self._values(names), one.key: sample[1]}

    def _values(self, names: Mapping[str, str]) -> dict[str, Any]:
        """The values that these names of choices stand for."""
        return {key: dict(self._by_key[key].domain.samples())[name] for key, name in names.items()}

    def _refused(self, values: Mapping[str, Any]) -> list[str]:
        """Why the configuration cannot have these values."""
        try:
            return [*_wrong_network(self._base, try_values(self._base, values))]
        except ConfigError as error:
            return _problems_of(error)

    def _refused_in_trial(self, values: Mapping[str, Any]) -> list[str]:
        """Why a trial with these values cannot be trained; each is tried once."""
        tried = dump_json(dict(values))
        if tried not in self._tried:
            try:
                wrong = [*_wrong_drop_path(self._base, try_values(self._base, values))]
            except ConfigError as error:
                wrong = _problems_of(error)
            self._tried[tried] = wrong
        return self._tried[tried]


def _problems_of(error: ConfigError) -> list[str]:
    """The problems that the message of a configuration lists below its first line."""
    return [line.strip() for line in error.message.splitlines()[1:]]


def _about(key: str, name: str, problem: str) -> str:
    """A problem of a value that begins with its key."""
    about = "" if problem.startswith(f"{key}:") else f"{key} {shown(name, LONGEST_NAME)}: "
    return shown(f"{about}{problem}", LONGEST_PROBLEM)


def _wrong_network(base: Config, config: Config) -> Iterator[str]:
    """The problem of a network that is unknown; that of the configuration itself is none of it."""
    if config.model.name != base.model.name:
        try:
            find_network(config.model.name)
        except ConfigError as error:
            yield f"model.name: {error.message}. {error.hint}"


def _wrong_drop_path(base: Config, config: Config) -> Iterator[str]:
    """The problem of branches that the network does not have, unless it is the configuration's."""
    name, drop_path = config.model.name, config.model.drop_path
    if drop_path and name not in WITH_DROP_PATH and config.model != base.model:
        yield f"model.drop_path: {drop_path:g} has no effect on {name}"
