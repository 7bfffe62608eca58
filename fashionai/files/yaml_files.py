"""YAML files in which ``1e-3`` is a number and a duplicate key is an error."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml

from fashionai.errors import ConfigError, nearest


class _Loader(yaml.SafeLoader):
    """PyYAML's safe loader for YAML 1.1, with YAML 1.2's floats and an error for duplicate keys."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[str] = set()
        for key_node, _ in node.value:
            if not isinstance(key_node, yaml.ScalarNode):
                continue
            if key_node.value in seen:
                raise yaml.MarkedYAMLError(
                    problem=f"key '{key_node.value}' is given twice",
                    problem_mark=key_node.start_mark,
                )
            seen.add(key_node.value)
        return super().construct_mapping(node, deep)


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"[-+]?(\d+\.?\d*|\.\d+)[eE][-+]?\d+$"),
    list("-+.0123456789"),
)


def load_yaml(path: Path) -> dict[str, Any]:
    """The mapping in a YAML file. Raises ConfigError, with the line, for any other content."""
    try:
        tree = yaml.load(path.read_text(encoding="utf-8-sig"), Loader=_Loader)
    except FileNotFoundError:
        raise ConfigError(f"{path}: no such file", _similar_file(path)) from None
    except UnicodeDecodeError:
        raise ConfigError(f"{path}: not UTF-8 text") from None
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from None
    except yaml.MarkedYAMLError as error:
        line = f":{error.problem_mark.line + 1}" if error.problem_mark else ""
        raise ConfigError(f"{path}{line}: not valid YAML: {error.problem}") from None
    except (yaml.YAMLError, ValueError) as error:
        # Characters that YAML does not allow, or a date such as 2020-13-45.
        raise ConfigError(f"{path}: not valid YAML: {str(error).splitlines()[0]}") from None
    if not isinstance(tree, dict):
        found = "an empty file" if tree is None else f"a {type(tree).__name__}"
        raise ConfigError(f"{path}: expected keys with values, found {found}")
    return tree


def parse_scalar(text: str) -> Any:
    """Parse a value in YAML syntax, for instance a number, boolean, string or list.

    Raises ValueError with a message of one line if the syntax is invalid.
    """
    try:
        return yaml.load(text, Loader=_Loader)
    except yaml.MarkedYAMLError as error:
        raise ValueError(error.problem) from None
    except yaml.YAMLError as error:
        raise ValueError(str(error).splitlines()[0]) from None


def _similar_file(path: Path) -> str:
    """A hint that names the most similar YAML file of the same folder, or all of them."""
    others = sorted(path.parent.glob("*.yaml")) if path.parent.is_dir() else []
    return nearest(path.name, [other.name for other in others]) if others else ""
