"""Overrides ``key=value`` of a configuration: sound ones in many notations, odd keys and values."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any, NamedTuple, Optional

from commands import run_command, verdict
from damage import ODD_VALUES, damaged
from settings import odd_value, sound_settings, written

from fashionai.config import known_keys, load_config

KEYS = known_keys()


class Case(NamedTuple):
    """Arguments, and what they say by dotted key if they are sound."""

    arguments: tuple[str, ...]
    expected: Optional[dict[str, Any]]


def make(rng: random.Random) -> Case:
    """One list of arguments, without NUL, which no argument of a program can hold."""
    settings = sound_settings(rng)
    arguments = [f"{key}={written(value, rng)}" for key, value in settings.items()]
    if "schedule.warmup_epochs" in settings:
        arguments.insert(rng.randint(0, len(arguments)), "schedule.name=cosine")
    if rng.random() < 0.3:
        return Case(tuple(arguments), settings)
    arguments += [_odd(rng) for _ in range(rng.choice([1, 1, 1, 2, 100]))]
    rng.shuffle(arguments)
    return Case(tuple(argument.replace("\0", "") for argument in arguments), None)


def check(case: Case, folder: Path) -> str:
    """Print the configuration; sound arguments change the keys that they name, and no others."""
    file = folder / "c.yaml"
    file.write_text("task: skirt\n", encoding="utf-8")
    word = verdict(finished := run_command("config", "c.yaml", "--", *case.arguments))
    if case.expected is not None:
        assert word == "accepted", f"sound arguments were refused: {finished.err}"
    if word == "accepted":
        loaded = load_config(file, case.arguments)
        (folder / "again.yaml").write_text(finished.out, encoding="utf-8")
        assert load_config(folder / "again.yaml") == loaded
        if case.expected is not None:
            _assert_changed(load_config(file).model_dump(), loaded.model_dump(), case.expected)
    return word


def _assert_changed(before: Any, after: Any, expected: dict[str, Any]) -> None:
    for key, value in expected.items():
        *sections, leaf = key.split(".")
        old, new = before, after
        for section in sections:
            old, new = old[section], new[section]
        found = new.get(leaf)
        assert (found, type(found)) == (value, type(value)), f"{key}: {found!r}, not {value!r}"
        old[leaf] = value
    if "schedule.warmup_epochs" in expected:
        before["schedule"] = after["schedule"]
    assert before == after, "a key was changed that no argument names"


def _odd(rng: random.Random) -> str:
    key = rng.choice([*KEYS, rng.choice(ODD_VALUES), _damaged(rng.choice(KEYS), rng)])
    if rng.random() < 0.1:
        key = ".".join([key] * rng.choice([2, 10, 3000]))
    if rng.random() < 0.1:
        key += rng.choice([".", "..", ".x", ".0", ".name"])
    value = rng.choice([odd_value(rng), odd_value(rng), rng.choice(ODD_VALUES), "3"])
    return rng.choice(
        [f"{key}={value}"] * 8 + [key, f"={value}", f"{key}=={value}", f"{key} = {value}"]
    )


def _damaged(text: str, rng: random.Random) -> str:
    return damaged(text.encode(), rng).decode("utf-8", "surrogateescape")
