"""Search spaces: parameters of the configuration, the values that each may take, and conditions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Optional, Union

from fashionai.config import Config, resolve_config, short_side, value_at
from fashionai.errors import ConfigError
from fashionai.files.formats.yaml_files import dump_json

# The value of a parameter in a trial: a number, or the name of a choice.
Value = Union[int, float, str]
Params = Mapping[str, Value]

CROP, RESIZE = "data.crop", "data.resize_short"


@dataclass(frozen=True)
class Numbers:
    """Numbers from ``low`` to ``high``, both included.

    Args:
        low: The lowest number.
        high: The highest number.
        log: Small numbers are as likely as large ones, per order of magnitude; not with ``step``.
        step: The numbers are ``low``, ``low + step`` and so on.
        whole: Whole numbers alone.
    """

    low: float
    high: float
    log: bool = False
    step: Optional[float] = None
    whole: bool = False

    def holds(self, value: Any) -> bool:
        """Whether a value is one of the numbers, but for rounding."""
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            return False
        steps = 0.0 if self.step is None else (value - self.low) / self.step
        return self.low <= value <= self.high and abs(steps - round(steps)) < 1e-6

    def samples(self) -> list[tuple[str, Any]]:
        """The values that a check of the parameter tries: both ends."""
        return [(str(end), end) for end in dict.fromkeys((self.low, self.high))]


@dataclass(frozen=True)
class Choices:
    """Values by their names, each as likely as the others."""

    values: Mapping[str, Any]

    def samples(self) -> list[tuple[str, Any]]:
        """The values that a check of the parameter tries: all of them."""
        return list(self.values.items())


@dataclass(frozen=True)
class Parameter:
    """A dotted key of the configuration with its values.

    ``when`` has names of choices by the key of another parameter: in a trial with another choice
    this parameter does not exist, and the configuration keeps its own value.
    """

    key: str
    domain: Union[Numbers, Choices]
    when: Mapping[str, Sequence[str]] = field(default_factory=dict)

    def is_active(self, params: Params) -> bool:
        """Whether it exists in a trial with these values of the parameters before it."""
        return all(params.get(key) in names for key, names in self.when.items())


class Space:
    """Parameters; each comes after those that its condition names."""

    def __init__(self, parameters: Sequence[Parameter]) -> None:
        self.parameters = tuple(parameters)
        self._by_key = {parameter.key: parameter for parameter in self.parameters}

    def __iter__(self) -> Iterator[Parameter]:
        return iter(self.parameters)

    def __getitem__(self, key: str) -> Parameter:
        return self._by_key[key]

    def __contains__(self, key: object) -> bool:
        return key in self._by_key

    def config_of(self, base: Config, params: Params) -> Config:
        """The configuration of a trial: ``base`` with the values of the parameters.

        Where the crop changes, ``data.resize_short`` changes in proportion, unless it is a
        parameter itself. Raises ConfigError for values that do not go together.
        """
        values = {key: self._value(key, value) for key, value in params.items()}
        if CROP in values and RESIZE not in self and base.data.resize_short is not None:
            values[RESIZE] = short_side(values[CROP], base.data.crop_fraction)
        return with_values(base, values)

    def params_of(self, config: Config) -> dict[str, Value]:
        """The parameters of a configuration, as far as the space holds its values."""
        params: dict[str, Value] = {}
        for parameter in self.parameters:
            if parameter.is_active(params):
                value = _find(parameter, config)
                if value is not None:
                    params[parameter.key] = value
        return params

    def _value(self, key: str, value: Value) -> Any:
        domain = self._by_key[key].domain
        return domain.values[str(value)] if isinstance(domain, Choices) else value


def with_values(base: Config, values: Mapping[str, Any]) -> Config:
    """The configuration with the values of some dotted keys replaced; errors as resolve_config."""
    overrides = [f"{key}={dump_json(value)}" for key, value in values.items()]
    return resolve_config(base.model_dump(), "the trial", overrides)


def try_values(base: Config, values: Mapping[str, Any]) -> Config:
    """As with_values, for a trial that need not say ``data.resize_short``, which follows a crop."""
    follows = {RESIZE: None} if CROP in values else {}
    return with_values(base, {**follows, **values})


def value_in(config: Config, key: str) -> Any:
    """The value of a dotted key; None for a key that its schedule does not have."""
    return value_at(config.model_dump(), key)


def _find(parameter: Parameter, config: Config) -> Optional[Value]:
    """The value of a parameter in a configuration; None where the parameter has no such value."""
    key, domain = parameter.key, parameter.domain
    if isinstance(domain, Numbers):
        value = value_in(config, key)
        return (value if domain.whole else float(value)) if domain.holds(value) else None
    names = (name for name, value in domain.values.items() if _has(config, key, value))
    return next(names, None)


def _has(config: Config, key: str, value: Any) -> bool:
    """Whether a configuration has a value, however that is written."""
    try:
        return with_values(config, {key: value}) == config
    except ConfigError:
        return False
