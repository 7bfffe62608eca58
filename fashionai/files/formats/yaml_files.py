"""YAML files: scalars by the core schema of YAML 1.2, keys as written, everything within bounds.

PyYAML reads the syntax; what plain text stands for is decided here. By its YAML 1.1, ``1:30`` is
the number 90, ``no`` is false and ``1e-3`` is text.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Optional

import yaml
from yaml.composer import Composer
from yaml.parser import Parser
from yaml.reader import Reader
from yaml.resolver import BaseResolver
from yaml.scanner import Scanner

from fashionai.errors import ConfigError, counted, nearest, shown

# A configuration has some 2 KB; one with a weight for each of 10,000 classes has 300 KB.
MAX_BYTES = 1_000_000
MAX_VALUES = 50_000
MAX_DEPTH = 50
# Longer numbers fit no key. Python needs quadratic time to read them, or refuses to.
MAX_DIGITS = 1_000

_TAG = "tag:yaml.org,2002:"
_NULL, _BOOL, _INT, _FLOAT = (f"{_TAG}{name}" for name in ("null", "bool", "int", "float"))
_STR, _SEQ, _MAP, _MERGE = (f"{_TAG}{name}" for name in ("str", "seq", "map", "merge"))

# YAML 1.2.2, section 10.3.2. Each with the characters that its texts begin with.
_CORE_SCHEMA = {
    _NULL: (re.compile(r"(?:~|null|Null|NULL|)$"), ["~", "n", "N", ""]),
    _BOOL: (re.compile(r"(?:true|True|TRUE|false|False|FALSE)$"), list("tTfF")),
    _INT: (re.compile(r"(?:[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+)$"), list("-+0123456789")),
    _FLOAT: (
        re.compile(
            r"(?:[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?"
            r"|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))$"
        ),
        list("-+.0123456789"),
    ),
}
# What YAML allows only as an escape.
_NOT_PLAIN = re.compile("[\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff\ud800-\udfff]")
_BREAK = re.compile("[\x85\u2028\u2029]")
# Half a character, as a name that is not UTF-8 has; and the end of text for the file system.
_NO_TEXT = re.compile("[\ud800-\udfff\0]")


class _Resolver(BaseResolver):
    """The tags of plain scalars, by the core schema; and ``<<``, which inserts another mapping."""


class _Dumper(yaml.SafeDumper):
    """PyYAML's dumper, which also quotes text that the core schema takes for another type."""


for _tag, (_pattern, _first) in _CORE_SCHEMA.items():
    _Resolver.add_implicit_resolver(_tag, _pattern, _first)
    _Dumper.add_implicit_resolver(_tag, _pattern, _first)


def _represent_text(dumper: _Dumper, text: str) -> yaml.ScalarNode:
    """Text in quotes where it has line breaks that YAML would fold, those of Unicode included."""
    return dumper.represent_scalar(_STR, text, style='"' if _BREAK.search(text) else None)


_Dumper.add_representer(str, _represent_text)
_Resolver.add_implicit_resolver(_MERGE, re.compile("<<$"), ["<"])


class _Composer(Reader, Scanner, Parser, Composer, _Resolver):
    """From text to nodes, within MAX_VALUES and MAX_DEPTH."""

    def __init__(self, text: str) -> None:
        Reader.__init__(self, text)
        Scanner.__init__(self)
        Parser.__init__(self)
        Composer.__init__(self)
        _Resolver.__init__(self)
        self._depth = self._nodes = 0

    def compose_node(self, parent: Optional[yaml.Node], index: Any) -> Optional[yaml.Node]:
        """One node with all below it."""
        self._depth += 1
        self._nodes += 1
        event = self.peek_event()
        _check_bounds(self._depth, self._nodes, event)
        if not isinstance(event, yaml.AliasEvent) and event.anchor in self.anchors:
            raise _error(f"anchor '{shown(event.anchor)}' is given twice", event)
        node = super().compose_node(parent, index)
        self._depth -= 1
        return node


class _Values:
    """From nodes to values. Aliases count as often as they are used."""

    def __init__(self) -> None:
        self._values = self._characters = 0

    def read(self, node: yaml.Node, depth: int = 1) -> Any:
        """The value of a node; a MarkedYAMLError with its place if it has none."""
        self._values += 1
        _check_bounds(depth, self._values, node)
        if isinstance(node, yaml.ScalarNode):
            return _scalar(node.tag, self._text(node), node)
        if isinstance(node, yaml.SequenceNode) and node.tag == _SEQ:
            return [self.read(each, depth + 1) for each in node.value]
        if isinstance(node, yaml.MappingNode) and node.tag == _MAP:
            return self._mapping(node, depth)
        raise _unknown_tag(node)

    def _mapping(self, node: yaml.MappingNode, depth: int) -> dict[str, Any]:
        """Keys, as written, with their values. Those of ``<<`` yield to the mapping's own."""
        own: dict[str, Any] = {}
        inserted: dict[str, Any] = {}
        for key_node, value_node in node.value:
            if key_node.tag == _MERGE:
                for mapping in self._inserted(value_node, depth + 1):
                    inserted = {**mapping, **inserted}
                continue
            key = self._key(key_node)
            if key in own:
                raise _error(f"key '{shown(key)}' is given twice", key_node)
            own[key] = self.read(value_node, depth + 1)
        return {**inserted, **own}

    def _inserted(self, node: yaml.Node, depth: int) -> Iterator[dict[str, Any]]:
        """The mappings that ``<<`` inserts: one, or a list of which the first counts most."""
        mappings = node.value if isinstance(node, yaml.SequenceNode) else [node]
        for each in mappings:
            if not isinstance(each, yaml.MappingNode):
                raise _error("expected a mapping after <<", each)
            yield self.read(each, depth)

    def _key(self, node: yaml.Node) -> str:
        self._values += 1
        if not isinstance(node, yaml.ScalarNode):
            raise _error("found a list or a mapping as a key", node)
        if node.tag not in (*_CORE_SCHEMA, _STR, "!"):
            raise _unknown_tag(node)
        return self._text(node)

    def _text(self, node: yaml.ScalarNode) -> str:
        text: str = node.value
        if not is_text(text):
            raise _error(f"'{shown(text)}' holds what is no character of a text", node)
        self._characters += len(text)
        if self._characters > MAX_BYTES:
            raise _error(f"aliases make more than {MAX_BYTES:,} characters of it", node)
        return text


def _scalar(tag: str, text: str, node: yaml.ScalarNode) -> Any:
    if tag in (_STR, "!"):
        return text
    if tag == _MERGE:
        return text  # a plain << that is no key
    if tag not in _CORE_SCHEMA:
        raise _unknown_tag(node)
    if not _CORE_SCHEMA[tag][0].match(text):
        raise _error(f"'{shown(text)}' is not of the type !!{tag[len(_TAG) :]}", node)
    if tag == _NULL:
        return None
    if tag == _BOOL:
        return text[0] in "tT"
    if len(text) > MAX_DIGITS:
        raise _error(f"a number of {counted(len(text), 'character')}", node)
    return _integer(text) if tag == _INT else _float(text)


def _integer(text: str) -> int:
    bases = {"0o": 8, "0x": 16}
    return int(text[2:], bases[text[:2]]) if text[:2] in bases else int(text)


def _float(text: str) -> float:
    # Python's words are inf and nan, without the dot.
    return float(text.replace(".", "", 1) if text[-1] in "fFnN" else text)


def _check_bounds(depth: int, values: int, place: Any) -> None:
    if depth > MAX_DEPTH:
        raise _error(f"nested more than {MAX_DEPTH} deep", place)
    if values > MAX_VALUES:
        raise _error(f"more than {MAX_VALUES:,} values", place)


def _unknown_tag(node: yaml.Node) -> yaml.MarkedYAMLError:
    tag = node.tag.replace(_TAG, "!!", 1)
    kinds = {yaml.ScalarNode: "text", yaml.SequenceNode: "a list", yaml.MappingNode: "a mapping"}
    return _error(f"{kinds[type(node)]} cannot have the tag {shown(tag)}", node)


def _error(problem: str, place: Any) -> yaml.MarkedYAMLError:
    return yaml.MarkedYAMLError(problem=problem, problem_mark=place.start_mark)


def is_text(text: str) -> bool:
    """Whether the text has whole characters alone, and none that ends it for the file system."""
    return not _NO_TEXT.search(text)


# What a file may hold instead of keys with values.
_KINDS = {type(None): "an empty file", list: "a list", str: "text"}


def load_yaml(path: Path) -> dict[str, Any]:
    """The mapping in a YAML file. Raises ConfigError, with the line, for any other content."""
    try:
        tree = _read(_read_text(path))
    except yaml.MarkedYAMLError as error:
        line = f":{error.problem_mark.line + 1}" if error.problem_mark else ""
        raise ConfigError(f"{path}{line}: not valid YAML: {_problem(error)}") from None
    except ValueError as error:
        raise ConfigError(f"{path}: not valid YAML: {error}") from None
    if not isinstance(tree, dict):
        found = _KINDS.get(type(tree), "one value")
        raise ConfigError(f"{path}: expected keys with values, found {found}")
    return tree


def parse_scalar(text: str) -> Any:
    """Parse a value in YAML syntax, for instance a number, boolean, string or list.

    Raises ValueError with a message of one line if the syntax is invalid.
    """
    try:
        return _read(text)
    except yaml.MarkedYAMLError as error:
        raise ValueError(_problem(error)) from None


def dump_yaml(tree: Any) -> str:
    """YAML text that is read back as the same values, keys in their order."""
    return yaml.dump(tree, Dumper=_Dumper, sort_keys=False, allow_unicode=True)


def dump_flow(value: Any) -> str:
    """A value as YAML on one line, such as ``{name: sgd, lr: 0.01}``."""
    text: str = yaml.dump(
        value,
        Dumper=_Dumper,
        sort_keys=False,
        allow_unicode=True,
        default_flow_style=True,
        width=math.inf,
    )
    # A scalar alone is followed by the mark of a document's end.
    return text.removesuffix("...\n").rstrip("\n")


def dump_json(value: Any) -> str:
    """The value as JSON on one line that YAML reads as the same value.

    JSON's escapes of a character beyond the basic plane are two halves of characters in YAML.
    """
    text = json.dumps(value, ensure_ascii=False)
    return _NOT_PLAIN.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def _read(text: str) -> Any:
    """The value of a YAML text. Raises MarkedYAMLError, or ValueError with one line."""
    if len(text) > MAX_BYTES:
        raise ValueError(f"it has more than {MAX_BYTES:,} characters")
    try:
        node = _Composer(text).get_single_node()
    except yaml.MarkedYAMLError:
        raise
    except yaml.YAMLError as error:  # characters that YAML does not allow
        raise ValueError(str(error).splitlines()[0]) from None
    except (ValueError, OverflowError):  # "\UFFFFFFFF", or a version of 5,000 digits
        raise ValueError("it holds a number that is out of range") from None
    return None if node is None else _Values().read(node)


def _read_text(path: Path) -> str:
    """The text of a file. Of one that is too long, or endless, no more than the limit is read."""
    try:
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
        text = content[:MAX_BYTES].decode("utf-8-sig")
    except FileNotFoundError:
        raise ConfigError(f"{path}: no such file", _similar_file(path)) from None
    except UnicodeDecodeError:
        raise ConfigError(f"{path}: not UTF-8 text") from None
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from None
    if len(content) > MAX_BYTES:
        raise ConfigError(f"{path}: larger than {MAX_BYTES:,} bytes")
    return text


def _problem(error: yaml.MarkedYAMLError) -> str:
    return " ".join(str(error.problem or error.context).split())


def _similar_file(path: Path) -> str:
    """A hint that names the most similar YAML file of the same folder, or all of them."""
    others = sorted(path.parent.glob("*.yaml")) if path.parent.is_dir() else []
    return nearest(path.name, [other.name for other in others]) if others else ""
