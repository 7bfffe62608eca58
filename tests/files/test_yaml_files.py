"""YAML as people write it: what its values are, and what is refused."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fashionai.errors import ConfigError
from fashionai.files.formats.yaml_files import dump_json, dump_yaml, load_yaml, parse_scalar


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-3", 0.001),
        ("1E3", 1000.0),
        ("-2.5e+1", -25.0),
        (".5e0", 0.5),
        ("3", 3),
        ("3.5", 3.5),
        ("true", True),
        ("1e", "1e"),
        ("e-3", "e-3"),
        ("resnet50_v2", "resnet50_v2"),
        ("[1, 2e1]", [1, 20.0]),
        # The core schema of YAML 1.2: of 1.1's forms, these are text.
        *((text, text) for text in ("yes", "No", "ON", "off", "1:30", "1_000", "2020-01-01", "=")),
        *((text, None) for text in ("~", "null", "Null", "NULL", "")),
        *((text, True) for text in ("True", "TRUE")),
        *((text, math.inf) for text in (".inf", "+.Inf", ".INF", "1e400")),
        *[("0o17", 15), ("0x1F", 31), ("017", 17), ("+3", 3), ("0.", 0.0), ("!!float 3", 3.0)],
        *[("!!str 3", "3"), ("'3'", "3"), ("{<<: {a: 1, b: 2}, a: 3}", {"a": 3, "b": 2})],
        ("{<<: [{a: 1}, {a: 2, c: 4}]}", {"a": 1, "c": 4}),
        ("{a: &x [1], b: *x}", {"a": [1], "b": [1]}),
        # Keys are text as it is written, such as the names of classes.
        ("{yes: 1, No: 2, 01: 3, ~: 4, 1e3: 5}", {"yes": 1, "No": 2, "01": 3, "~": 4, "1e3": 5}),
        ("[{name: mirror, p: 0.2}]", [{"name": "mirror", "p": 0.2}]),
    ],
)
def test_override_values_are_read_as_people_write_them(text: str, value: Any) -> None:
    assert parse_scalar(text) == value
    assert type(parse_scalar(text)) is type(value)


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_every_number_that_python_prints_is_read_as_that_number(value: float) -> None:
    assert parse_scalar(repr(value)) == value


@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")))
def test_every_text_that_is_written_is_read_as_that_text(text: str) -> None:
    assert parse_scalar(dump_yaml(text)) == text
    assert parse_scalar(dump_yaml({text: text})) == {text: text}
    assert parse_scalar(dump_json(text)) == text
    assert len(dump_json(text).splitlines()) == 1


@pytest.mark.parametrize("text", ["1e3", "0o17", "1:30", "yes", "null", "08", "<<", ".5e1", "="])
def test_text_that_looks_like_another_type_is_read_as_text(text: str) -> None:
    assert parse_scalar(dump_yaml([text, {text: 1}])) == [text, {text: 1}]


def test_aliases_count_as_often_as_they_are_used() -> None:
    """Eight levels of nine each are 43 million values."""
    levels = ["&l0 [x, x, x, x, x, x, x, x, x]"]
    levels += [f"&l{n} [{', '.join([f'*l{n - 1}'] * 9)}]" for n in range(1, 9)]
    with pytest.raises(ValueError, match="more than 50,000 values"):
        parse_scalar("".join(f"- {level}\n" for level in levels))
    long = f"&a {'x' * 300_000}"
    with pytest.raises(ValueError, match="aliases make more than 1,000,000 characters"):
        parse_scalar(f"[{long}, *a, *a, *a]")


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"task: skirt\nepochs: 1\ntask: pant\n", "c.yaml:3: not valid YAML: key 'task' is given"),
        (b"task: skirt\ndata:\n  crop: 1\n  crop: 2\n", "c.yaml:4: not valid YAML: key 'crop' is"),
        (b"task: skirt\n\tepochs: 3\n", "c.yaml:2: not valid YAML: "),
        (b"{task: skirt\n", "c.yaml:2: not valid YAML: "),
        (b"? [a]\n: 3\n", "c.yaml:1: not valid YAML: found a list or a mapping as a key"),
        (b"task: !!timestamp x\n", "c.yaml:1: not valid YAML: text cannot have the tag !!times"),
        (b"task: skirt\nema: !!bool x\n", "c.yaml:2: not valid YAML: 'x' is not of the type !!b"),
        (b"a: &a [*a]\n", "c.yaml:1: not valid YAML: nested more than 50 deep"),
        (b"- " * 3000, "c.yaml:1: not valid YAML: nested more than 50 deep"),
        (b"a: " + b"[" * 3000, "c.yaml:1: not valid YAML: nested more than 50 deep"),
        (b"a: " + b"1" * 5000, "c.yaml:1: not valid YAML: a number of 5,000 characters"),
        (b'"\\udcb9": 1\n', "c.yaml:1: not valid YAML: '\\udcb9' holds what is no character"),
        (b'a: "\\UFFFFFFFF"\n', "c.yaml: not valid YAML: it holds a number that is out of range"),
        (b"#" * 1_000_001, "c.yaml: larger than 1,000,000 bytes"),
        (b"[&a 1, &a 2]", "c.yaml:1: not valid YAML: anchor 'a' is given twice"),
        (b"a: {<<: 3}", "c.yaml:1: not valid YAML: expected a mapping after <<"),
        (b"task: \x00\n", "c.yaml: not valid YAML: unacceptable character #x0000"),
        (b"\xff\xd8\xff\xe0", "c.yaml: not UTF-8 text"),
        (b"", "c.yaml: expected keys with values, found an empty file"),
        (b"- task\n", "c.yaml: expected keys with values, found a list"),
        (b"skirt\n", "c.yaml: expected keys with values, found text"),
    ],
)
def test_what_is_no_mapping_is_one_line_with_the_file(tmp_path, content, problem) -> None:
    path = tmp_path / "c.yaml"
    path.write_bytes(content)
    with pytest.raises(ConfigError) as caught:
        load_yaml(path)
    message = str(caught.value).replace(f"{tmp_path}/", "")
    assert message.startswith(problem)
    assert "\n" not in message


def test_an_endless_file_is_read_no_further_than_its_bound() -> None:
    with pytest.raises(ConfigError, match="/dev/zero: larger than 1,000,000 bytes"):
        load_yaml(Path("/dev/zero"))


def test_a_byte_order_mark_is_no_part_of_the_first_key(tmp_path: Path) -> None:
    path = tmp_path / "c.yaml"
    path.write_text("task: skirt\n", encoding="utf-8-sig")
    assert load_yaml(path) == {"task": "skirt"}
