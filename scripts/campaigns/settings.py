"""Random sound settings of a configuration, and odd YAML texts for their values."""

from __future__ import annotations

import json
import random
from typing import Any

from damage import ODD_VALUES

# Keys with a function that makes a value which is right beside all the others.
SOUND: dict[str, Any] = {
    "epochs": lambda rng: rng.randint(1, 1000),
    "batch_size": lambda rng: rng.randint(1, 512),
    "seed": lambda rng: rng.randint(0, 2**31 - 1),
    "ema": lambda rng: rng.choice([None, 0.5, 0.999, 1e-3]),
    "trainable": lambda rng: rng.choice(["all", "head", "last-stage"]),
    "accumulate": lambda rng: rng.randint(1, 64),
    "optimizer.clip_norm": lambda rng: rng.choice([None, 1.0, 1e-3]),
    "model.name": lambda rng: rng.choice(["resnet18_v2", "no", "1e3", "08", "1:30", "a: b", "# x"]),
    "model.pretrained": lambda rng: rng.choice([True, False, "w.params", "0x1", "é ü", "null"]),
    "data.folder": lambda rng: rng.choice(["data", "1e3", "0o17", "no", "a b", "~", "2020-01-01"]),
    "data.mean": lambda rng: rng.choice([None, [0.1, 0.2, 0.3], [0.0, 1e-9, 5.0]]),
    "data.workers": lambda rng: rng.choice([None, 1, 256]),
    "optimizer.lr": lambda rng: rng.choice([1e-3, 0.1, 1.5, 1e-30, 3e5]),
    "optimizer.momentum": lambda rng: rng.random(),
    "loss.mixup": lambda rng: rng.choice([0.0, 0.2, 100.0]),
    "loss.class_weights": lambda rng: {
        name: rng.choice([0.5, 2.0, 1e-6])
        for name in rng.sample(["yes", "no", "1", "01", "1e3", "~", "null", "a b", "é"], 3)
    },
    "schedule.warmup_epochs": lambda rng: rng.choice([0.0, 1.5, 3.0]),
}
TAGS = (
    *(
        "!!bool",
        "!!int",
        "!!float",
        "!!null",
        "!!str",
        "!!timestamp",
        "!!binary",
        "!!set",
        "!!omap",
    ),
    *("!!map", "!!seq", "!!merge", "!!python/object/apply:os.system", "!x", "!", "!<tag:a,1:b>"),
)


def sound_settings(rng: random.Random) -> dict[str, Any]:
    """Some keys with right values, by dotted key."""
    return {key: SOUND[key](rng) for key in rng.sample(list(SOUND), rng.randint(0, 6))}


def written(value: Any, rng: random.Random) -> str:
    """The value in one of the ways in which YAML 1.2 may write it, on one line."""
    if isinstance(value, dict):
        pairs = (
            f"{_text(key, rng, as_key=True)}: {written(each, rng)}" for key, each in value.items()
        )
        return f"{{{', '.join(pairs)}}}"
    if isinstance(value, list):
        return f"[{', '.join(written(each, rng) for each in value)}]"
    if value is None:
        return rng.choice(["null", "~", "Null", "NULL", "!!null null"])
    if isinstance(value, bool):
        word = str(value)
        return rng.choice([word, word.lower(), word.upper(), f"!!bool {word.lower()}"])
    if isinstance(value, int):
        return rng.choice([str(value), f"+{value}", f"00{value}", hex(value), oct(value)])
    if isinstance(value, float):
        short = repr(value)
        long = [f"{value:.20e}", f"+{short}", f"!!float {short}", f"{value:.17E}"]
        return rng.choice([short, *long])
    return _text(value, rng)


def _text(text: str, rng: random.Random, as_key: bool = False) -> str:
    """Quoted in two ways; plain where a slow list of what looks like another type allows it."""
    ways = [json.dumps(text, ensure_ascii=False), f"'{text}'"]
    looks_like_other = {"1e3", "08", "0x1", "null", "0o17", "~", "1", "01", "a: b", "# x"}
    if text not in looks_like_other or (as_key and text not in {"a: b", "# x"}):
        ways.append(text)
    return rng.choice(ways)


def odd_value(rng: random.Random, depth: int = 0) -> str:
    """A text in or near YAML syntax that may be no value of any key."""
    inner = odd_value(rng, depth + 1) if depth < 4 else "x"
    other = odd_value(rng, depth + 1) if depth < 2 else "y"
    return rng.choice(
        [
            *(rng.choice(ODD_VALUES) for _ in range(4)),
            f"{rng.choice(TAGS)} {inner}",
            f"[{inner}, {other}]",
            f"{{{inner}: {other}}}",
            f"&a {inner}",
            f"[&a {inner}, *a, *a]",
            f"&a [{inner}, *a]",
            f"{{<<: {inner}, a: {other}}}",
            f"'{inner}'",
            f'"{inner}"',
            f'"\\x00{inner}\\ud800\\U00110000"',
            f"--- {inner}",
            f"{inner} # {other}",
            rng.choice(["[", "{a: ", "- ", "? ", "!!seq [", "&a ["]) * rng.choice([3, 60, 3000]),
            bomb(rng),
        ]
    )


def bomb(rng: random.Random) -> str:
    """Aliases of aliases, or of a long text, on one line."""
    width, levels = rng.randint(2, 12), rng.randint(2, 9)
    lists = [f"&l0 [{rng.choice(['x', 'x' * 1000, '{a: b}', '[]'])}]"]
    lists += [f"&l{n} [{', '.join([f'*l{n - 1}'] * width)}]" for n in range(1, levels)]
    return f"[{', '.join(lists)}]"
