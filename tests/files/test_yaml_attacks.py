"""YAML that would run code: a configuration is data, whoever wrote it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from fashionai.errors import ConfigError
from fashionai.files.formats.yaml_files import load_yaml, parse_scalar

ATTACKS = [
    '!!python/object/apply:os.system ["touch {mark}"]',
    "!!python/object/apply:pathlib.Path.touch [!!python/object/apply:pathlib.Path [{mark}]]",
    '!!python/object/new:os.system ["touch {mark}"]',
    "!!python/name:os.system",
    "!!python/module:os",
    "!!python/object:argparse.Namespace {{lr: 1}}",
]


@pytest.mark.parametrize("attack", ATTACKS)
@pytest.mark.parametrize("as_file", [True, False])
def test_tags_of_python_are_refused_and_run_nothing(
    tmp_path: Path, attack: str, as_file: bool
) -> None:
    mark = tmp_path / "mark"
    text = attack.format(mark=mark)
    file = tmp_path / "config.yaml"
    file.write_text(f"task: {text}\n")
    read: Callable[[], object] = (
        (lambda: load_yaml(file)) if as_file else (lambda: parse_scalar(text))
    )
    with pytest.raises(ConfigError if as_file else ValueError, match="python") as refused:
        read()
    assert "\n" not in str(refused.value)
    assert not mark.exists()
