"""Configuration files: sound ones in many notations, damaged ones, and those that attack."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any, NamedTuple, Optional

from commands import run_command, verdict
from damage import damaged, odd_bytes
from settings import bomb, odd_value, sound_settings, written

from fashionai.config import Config, known_keys, load_config

KEYS = known_keys()
PACKAGED = [
    file.read_bytes()
    for file in sorted((Path(__file__).resolve().parents[3] / "configs").glob("*.yaml"))
]


class Case(NamedTuple):
    """The bytes of a file, and what it says by dotted key if it is sound."""

    content: bytes
    expected: Optional[dict[str, Any]]


def make(rng: random.Random) -> Case:
    """One file."""
    kind = rng.choice(["sound", "sound", "packaged", "damaged", "damaged", "odd", "odd", "huge"])
    if kind == "packaged":
        return Case(damaged(rng.choice(PACKAGED), rng), None)
    if kind == "huge":
        return Case(_huge(rng), None)
    expected = sound_settings(rng)
    content = _file(expected, rng)
    if kind == "sound":
        return Case(content, expected)
    if kind == "damaged":
        return Case(damaged(content, rng), None)
    key = rng.choice([*KEYS, "task", "x", odd_value(rng)])
    line = f"{key.rpartition('.')[2]}: {odd_value(rng)}\n"
    if "." in key:
        line = f"{key.partition('.')[0]}: {{{line.strip()}}}\n"
    return Case(content + line.encode("utf-8", "surrogatepass"), None)


def check(case: Case, folder: Path) -> str:
    """Print the configuration; a sound one says what was written, and is read back as printed."""
    file = folder / "c.yaml"
    file.write_bytes(case.content)
    word = verdict(finished := run_command("config", "c.yaml"))
    if case.expected is not None:
        assert word == "accepted", f"a sound file was refused: {finished.err}"
        for key, value in case.expected.items():
            found = _value(load_config(file), key)
            assert found == value, f"{key} is {found!r}, {value!r} was written"
            assert type(found) is type(value), f"{key} is {found!r}, {value!r} was written"
    if word == "accepted":
        (folder / "again.yaml").write_text(finished.out, encoding="utf-8")
        assert load_config(folder / "again.yaml") == load_config(file)
    return word


def _file(settings: dict[str, Any], rng: random.Random) -> bytes:
    """The settings with their sections in random order, as blocks or in braces."""
    sections: dict[str, dict[str, Any]] = {}
    lines = [rng.choice(["task: skirt", "task: [skirt]", "task: 'skirt'", '"task": skirt'])]
    for key, value in settings.items():
        section, _, leaf = key.rpartition(".")
        if section:
            sections.setdefault(section, {})[leaf] = value
        else:
            lines.append(f"{key}: {written(value, rng)}{rng.choice(['', '  # why', ' '])}")
    if "schedule" in sections:
        sections["schedule"] = {"name": "cosine", **sections["schedule"]}
    for section, leaves in sections.items():
        pairs = [f"{leaf}: {written(value, rng)}" for leaf, value in leaves.items()]
        block = "".join(f"\n  {pair}" for pair in pairs)
        lines.append(f"{section}:" + rng.choice([block, f" {{{', '.join(pairs)}}}"]))
    rng.shuffle(lines)
    start = rng.choice(["", "# comment\n", "---\n", "%YAML 1.2\n---\n", "\ufeff", "\n\n"])
    text = start + "\n".join(lines) + rng.choice(["\n", "", "\n...\n"])
    return text.replace("\n", rng.choice(["\n", "\n", "\r\n"])).encode()


def _huge(rng: random.Random) -> bytes:
    """A file of some 10 KB to 2 MB."""
    times = rng.choice([1_000, 20_000, 200_000])
    units = [b"- x\n", b"a: {", b"[", b"1,", b"# c\n", b"k: v\n", b"x", b"9", b"'\n", b"? ", b"\t"]
    if rng.random() < 0.3:
        return f"task: skirt\nx: {bomb(rng)}\n".encode()
    if rng.random() < 0.3:
        return b"task: skirt\n" + b"".join(b"k%d: 1\n" % number for number in range(times // 10))
    head = rng.choice([b"", b"task: skirt\n", b"task: [", b"loss: {class_weights: {", b"x: '"])
    return head + rng.choice([*units, odd_bytes(rng)[:20]]) * times


def _value(config: Config, key: str) -> Any:
    value: Any = config
    for name in key.split("."):
        value = getattr(value, name)
    return value
