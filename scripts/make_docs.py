#!/usr/bin/env python
"""Writes the tables of docs/configuration.md and docs/commands.md from the code.

usage: python scripts/make_docs.py [--check]

The keys of a configuration come from the JSON schema of fashionai.config.Config, the
commands from click. A table stands between ``<!-- generated: NAME -->`` and
``<!-- end of NAME -->``. With --check nothing is written, and the exit code is 1 when a page
differs from the code.
"""

from __future__ import annotations

import argparse
import difflib
import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Optional

import click

from fashionai.cli import root
from fashionai.config import Config

DOCS = Path(__file__).resolve().parent.parent / "docs"
Schema = Mapping[str, Any]

# Every command has it.
HELP = "--help"


def main() -> None:
    """Write the pages, or compare them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="compare, write nothing")
    check = parser.parse_args().check
    differing = [page.name for page in sorted(DOCS.glob("*.md")) if _differs(page, check)]
    if check and differing:
        sys.exit(f"make_docs.py: differs from the code: {', '.join(differing)}. Run it once")


def _differs(page: Path, check: bool) -> bool:
    """Whether the page was not up to date; says where, or writes it."""
    before = page.read_text(encoding="utf-8")
    after = fill(before)
    if before == after:
        return False
    if check:
        lines = before.splitlines(), after.splitlines()
        print("\n".join(difflib.unified_diff(*lines, str(page), "from the code", "", "", 1)))
    else:
        page.write_text(after, encoding="utf-8")
        print(f"{page.relative_to(DOCS.parent)}: written")
    return True


def fill(page: str) -> str:
    """The text of a page with every generated part made anew; KeyError for an unknown name."""
    parts = {
        "keys": key_table,
        "schedules": schedule_table,
        "augmentations": augmentation_table,
        "commands": command_table,
        "options": option_sections,
    }
    return re.sub(
        r"(<!-- generated: (\w+) -->\n).*?(<!-- end of \2 -->)",
        lambda match: f"{match[1]}\n{parts[match[2]]()}\n\n{match[3]}",
        page,
        flags=re.DOTALL,
    )


# The configuration


def key_table() -> str:
    """Every key with its type, default, range and meaning; without those of unions' members."""
    schema = Config.model_json_schema()
    rows = [
        (f"`{key}`", *_cells(field, field.get("description", "")))
        for key, field in _keys(schema, schema)
    ]
    return table(("key", "type", "default", "range", "meaning"), rows)


def schedule_table() -> str:
    """Every schedule with its keys."""
    return _member_table(Config.model_json_schema()["properties"]["schedule"], "schedule")


def augmentation_table() -> str:
    """Every step of the augmentation with its keys."""
    data = Config.model_json_schema()["$defs"]["DataConfig"]
    return _member_table(data["properties"]["augment"]["items"], "step")


def _keys(section: Schema, schema: Schema, prefix: str = "") -> Iterator[tuple[str, Schema]]:
    """Dotted keys of a section and those below it."""
    for name, field in section["properties"].items():
        # allOf: a section with a default, in pydantic before 2.9.
        sections = [part["$ref"] for part in (field, *field.get("allOf", ())) if "$ref" in part]
        if sections:
            yield from _keys(_resolve(sections[0], schema), schema, f"{prefix}{name}.")
        elif "discriminator" in field:
            choices = [_name(member) for member in _members(field, schema)]
            chosen = {"enum": choices, "default": field["default"]["name"]}
            yield f"{prefix}{name}.name", {**chosen, "description": "See the table of schedules."}
        else:
            yield prefix + name, field


def _member_table(union: Schema, heading: str) -> str:
    """The members of a union with their descriptions, each followed by its keys."""
    schema = Config.model_json_schema()
    rows = []
    for member in _members(union, schema):
        rows.append((f"**`{_name(member)}`**", "", "", "", member["description"]))
        rows += [
            (f"`{key}`", *_cells(field, field["description"]))
            for key, field in member["properties"].items()
            if key != "name"
        ]
    return table((heading, "type", "default", "range", "meaning"), rows)


def _members(union: Schema, schema: Schema) -> list[Schema]:
    """The members of a union in the order of the code."""
    return [_resolve(member["$ref"], schema) for member in union["oneOf"]]


def _name(member: Schema) -> str:
    """The value of ``name`` that chooses a member of a union."""
    return str(member["properties"]["name"]["default"])


def _resolve(reference: str, schema: Schema) -> Schema:
    """What ``#/$defs/NAME`` stands for."""
    found: Schema = schema["$defs"][reference.rpartition("/")[2]]
    return found


def _cells(field: Schema, meaning: str) -> tuple[str, str, str, str]:
    """Type, default, range and meaning of a key."""
    default = f"`{_yaml(field['default'])}`" if "default" in field else "required"
    return _type(field), default, _range(field), meaning


def _type(field: Schema) -> str:
    """The type in words, for instance ``number or null``."""
    if "anyOf" in field:
        kinds = dict.fromkeys(_type(member) for member in field["anyOf"])
        if "number" in kinds:
            kinds.pop("integer", None)  # which is a number
        return " or ".join(kinds)
    if field.get("type") == "array":
        items = field.get("items", {})
        count = field.get("minItems")
        kind = "steps" if "discriminator" in items else _plural(_type(items))
        return f"list of {count} {kind}" if count else f"list of {kind}"
    kind = str(field.get("type", "string"))
    return "mapping" if kind == "object" else kind


def _plural(kind: str) -> str:
    if kind.startswith("list "):
        return kind.replace("list", "lists", 1)
    return " or ".join(f"{each}s" for each in kind.split(" or "))


def _range(field: Schema) -> str:
    """The choices, or the bounds of numbers, of list items too."""
    if "enum" in field:
        return ", ".join(f"`{choice}`" for choice in field["enum"])
    members = [*field.get("anyOf", ()), field.get("items", {})]
    for each in (field, *members, *(member.get("items", {}) for member in members)):
        bounds = [
            f"{sign} {_number(each[key])}"
            for key, sign in (
                ("minimum", "≥"),
                ("exclusiveMinimum", ">"),
                ("maximum", "≤"),
                ("exclusiveMaximum", "<"),
            )
            if key in each
        ]
        if bounds:
            return ", ".join(bounds)
    return ""


def _yaml(value: Any) -> str:
    """A default as a person would write it in YAML, fractions with at most four digits."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return _number(value)
    if isinstance(value, list):
        named = [item["name"] if isinstance(item, dict) else _yaml(item) for item in value]
        return f"[{', '.join(named)}]"
    return str(value)


def _number(value: float) -> str:
    return str(int(value)) if value == int(value) else f"{value:.4g}"


# The commands


def command_table() -> str:
    """Every command with one line and a link to its options."""
    rows = [
        (f"[`{name}`](#{name.replace(' ', '-')})", _summary(command))
        for name, command in _commands(_info())
    ]
    return table(("command", "what it does"), rows)


def option_sections() -> str:
    """A section for each command: its usage and its options."""
    sections = []
    for name, command in _commands(_info()):
        metavars = {option.name: option.metavar for option in _find(name)[0].params}
        options = [
            _option_row(parameter, metavars[parameter["name"]])
            for parameter in command["params"]
            if parameter["param_type_name"] == "option"
            and HELP not in parameter["opts"]
            and not parameter["hidden"]
        ]
        part = [f"## {name}", _text(command["help"]), f"```text\n{_usage(name)}\n```"]
        if options:
            part.append(table(("option", "value", "default", "meaning"), options))
        sections.append("\n\n".join(part))
    return "\n\n".join(sections)


def _info() -> Schema:
    """What click knows of all commands."""
    return root.to_info_dict(click.Context(root, info_name="fashionai"))


def _commands(group: Schema, prefix: str = "") -> Iterator[tuple[str, Schema]]:
    """All commands in their order, those of groups behind the name of the group."""
    for name, command in group["commands"].items():
        if "commands" in command:
            yield from _commands(command, f"{prefix}{name} ")
        else:
            yield prefix + name, command


def _summary(command: Schema) -> str:
    """The first sentence of a command's help."""
    return re.split(r"(?<=\.)\s|\n\n", _text(command["help"]))[0].rstrip(".")


def _text(help_text: str) -> str:
    r"""A help text as paragraphs of one line; blocks behind ``\b`` are examples and left out."""
    paragraphs = re.sub(r"\x08.*", "", help_text, flags=re.DOTALL).strip().split("\n\n")
    return "\n\n".join(" ".join(paragraph.split()) for paragraph in paragraphs)


def _find(name: str) -> tuple[click.Command, click.Context]:
    """A command, and the context in which its help is shown."""
    command: click.Command = root
    context = click.Context(root, info_name="fashionai")
    for part in name.split():
        assert isinstance(command, click.Group)
        found = command.get_command(context, part)
        assert found is not None
        command, context = found, click.Context(found, context, part)
    return command, context


def _usage(name: str) -> str:
    """The usage line of a command, as its help shows it."""
    command, context = _find(name)
    return " ".join([context.command_path, *command.collect_usage_pieces(context)])


def _option_row(option: Schema, metavar: Optional[str]) -> tuple[str, str, str, str]:
    """Name, kind of value, default and meaning of an option."""
    names = " / ".join(f"`{name}`" for name in (*option["opts"], *option["secondary_opts"]))
    meaning, stated = _split_default(option["help"] or "")
    default = option["default"]
    if option["required"]:
        shown = "required"
    elif stated:
        shown = stated
    elif option["is_flag"] or option["multiple"] or default in (None, ""):
        shown = ""
    else:
        shown = f"`{_yaml(default)}`"
    return names, _value(option, metavar), shown, meaning


def _split_default(help_text: str) -> tuple[str, str]:
    """The help without its own ``[default: ...]``, and that default."""
    match = re.search(r"\s*\[default: (.*)\]$", help_text)
    return (help_text[: match.start()], match[1]) if match else (help_text, "")


def _value(option: Schema, metavar: Optional[str]) -> str:
    """The kind of value that an option takes, with its bounds; nothing for a flag."""
    kind = option["type"]
    if option["is_flag"]:
        return ""
    if "choices" in kind and not metavar:
        return ", ".join(f"`{choice}`" for choice in kind["choices"])
    name = kind["name"].split()[0]  # "integer range" has its bounds besides
    name = metavar or {"float": "number"}.get(name, name)
    low, high = kind.get("min"), kind.get("max")
    bounds = [
        f"{sign} {_number(bound)}"
        for sign, bound in (
            (">" if kind.get("min_open") else "≥", low),
            ("<" if kind.get("max_open") else "≤", high),
        )
        if bound is not None
    ]
    return ", ".join([name, *bounds])


def table(heading: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """A table of Markdown; bars within cells are escaped."""
    cells = [list(heading), *map(list, rows)]
    lines = ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in cells]
    lines.insert(1, "|" + " --- |" * len(cells[0]))
    return "\n".join(line.replace("|  |", "| |").replace("|  |", "| |") for line in lines)


if __name__ == "__main__":
    main()
