"""The attributes of a node of a graph: texts as MXNet writes them into JSON."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from typing import Any, Optional

from fashionai.errors import ConfigError

Integers = tuple[int, ...]


def unsupported(operator: str, node: str, detail: str = "") -> ConfigError:
    """The error for a node that PyTorch cannot compute."""
    return ConfigError(
        f"PyTorch cannot compute the operator {operator}{detail} of this network (node {node})",
        "Use engine=gluon",
    )


class Attributes:
    """The attributes of one node, with typed access.

    Methods raise ConfigError for a text that they do not expect.
    """

    def __init__(self, operator: str, node: str, texts: Mapping[str, str]) -> None:
        self.operator, self.node = operator, node
        self._texts = texts

    def unsupported(self, name: str) -> ConfigError:
        """The error for an attribute whose value is not supported."""
        return unsupported(self.operator, self.node, f" with {name}={self._texts.get(name)}")

    def text(self, name: str, default: str = "") -> str:
        """A text."""
        return self._texts.get(name, default)

    def flag(self, name: str, default: bool = False) -> bool:
        """A truth value."""
        return self.text(name, str(default)) in ("True", "1")

    def number(self, name: str, default: float = 0.0) -> float:
        """A number."""
        return float(self._value(name, default))

    def integer(self, name: str, default: int = 0) -> int:
        """An integer."""
        return int(self._value(name, default))

    def optional_integer(self, name: str) -> Optional[int]:
        """An integer, or None."""
        value = self._value(name, None)
        return None if value is None else int(value)

    def optionals(self, name: str) -> tuple[Optional[int], ...]:
        """Several integers or None."""
        value = self._value(name, ())
        return tuple(value) if isinstance(value, (tuple, list)) else (value,)

    def integers(self, name: str, default: Integers = ()) -> Integers:
        """Several integers; ``default`` if there are none. One integer without brackets counts."""
        value = self._value(name, default)
        if value is None or value == ():
            return default
        return tuple(int(each) for each in (value if isinstance(value, (tuple, list)) else [value]))

    def only(self, name: str, *supported: str) -> str:
        """The text of an attribute that may have these values; the first one is the default."""
        value = self.text(name, supported[0])
        if value not in supported:
            raise self.unsupported(name)
        return value

    def _value(self, name: str, default: Any) -> Any:
        if name not in self._texts:
            return default
        try:
            return ast.literal_eval(self._texts[name])
        except (ValueError, SyntaxError):
            raise self.unsupported(name) from None
