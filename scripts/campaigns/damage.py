"""Random damage to bytes, and values that are odd in every text format."""

from __future__ import annotations

import json
import random
from typing import Any

# As a program finds them at limits of types, in other encodings, and where syntax begins.
ODD_VALUES = (
    *("", " ", "0", "-0", "-1", "1e400", "-1e400", "1e-400", "nan", "inf", "1" * 400, "9" * 5000),
    *("0x10", "0o17", "017", "1_000", "1:30", "2020-13-45", "yes", "no", "null", "~", "true"),
    *("\ufeff", "é", "e\u0301", "\U0001f600", "\u202e", "\x1b[31m", "\x07", "\r", "\x85", "\u2028"),
    *("\ud800", "\udcb9", "\0", "../..", "/dev/zero", "/dev/null", "a" * 5000, "a/" * 2000),
    *("'", '"', "`", "\\", "%s%n", "{0}", "${HOME}", "*", "&", "!", "#", "|", ">", "@", "?"),
)


def damaged(content: bytes, rng: random.Random) -> bytes:
    """The content with one to four random changes."""
    for _ in range(rng.randint(1, 4)):
        content = rng.choice(CHANGES)(content, rng)
    return content


def odd_bytes(rng: random.Random) -> bytes:
    """An odd value as bytes."""
    return rng.choice(ODD_VALUES).encode("utf-8", "surrogatepass")


def odd_json(tree: Any, rng: random.Random) -> str:
    """The JSON text of a tree in which one value is another, or one key is missing."""
    nodes = [tree]
    for node in nodes:  # grows: all dictionaries and lists below
        children = node.values() if isinstance(node, dict) else node
        nodes += [child for child in children if isinstance(child, (dict, list)) and child]
    node = rng.choice(nodes)
    key = rng.choice(list(node)) if isinstance(node, dict) else rng.randrange(len(node))
    if rng.random() < 0.2:
        del node[key]
        return json.dumps(tree)
    mark = "a mark that stands for another text"
    node[key] = mark
    others = ["null", "true", "0", "-1", "1e400", "NaN", "[]", "{}", "[[]]", '{"a": 1}', "9" * 5000]
    others += ["[" * 3000, "[" * 100_000, '""', json.dumps(rng.choice(ODD_VALUES)), '"../../x"']
    return json.dumps(tree).replace(json.dumps(mark), rng.choice(others))


def _flip(content: bytes, rng: random.Random) -> bytes:
    if not content:
        return content
    at = rng.randrange(len(content))
    return content[:at] + bytes([content[at] ^ 1 << rng.randrange(8)]) + content[at + 1 :]


def _cut(content: bytes, rng: random.Random) -> bytes:
    return content[: rng.randint(0, len(content))]


def _remove(content: bytes, rng: random.Random) -> bytes:
    start, end = sorted(rng.randint(0, len(content)) for _ in range(2))
    return content[:start] + content[min(end, start + 40) :]


def _insert(content: bytes, rng: random.Random) -> bytes:
    at = rng.randint(0, len(content))
    return content[:at] + odd_bytes(rng) + content[at:]


def _repeat(content: bytes, rng: random.Random) -> bytes:
    start, end = sorted(rng.randint(0, len(content)) for _ in range(2))
    part = content[start : min(end, start + 100)]
    return content[:start] + part * rng.choice([2, 3, 100, 1000]) + content[end:]


def _swap_lines(content: bytes, rng: random.Random) -> bytes:
    lines = content.splitlines(keepends=True)
    rng.shuffle(lines)
    return b"".join(lines)


def _random_bytes(content: bytes, rng: random.Random) -> bytes:
    at = rng.randint(0, len(content))
    return content[:at] + rng.randbytes(rng.randint(1, 20)) + content[at:]


def _other_encoding(content: bytes, rng: random.Random) -> bytes:
    text = content.decode("utf-8", "replace")
    return text.encode(rng.choice(["utf-16", "utf-32", "utf-8-sig", "cp500"]), "replace")


CHANGES = (
    *(_flip, _cut, _remove, _insert, _insert, _repeat, _swap_lines, _random_bytes),
    _other_encoding,
)
