"""Atomic writes: a reader sees the old content or the new, never half."""

from __future__ import annotations

import hashlib
import json
import math
import os
import stat
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fashionai.files import atomic_path, content_hash, write_json, write_text


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_the_new_content_takes_the_name_when_the_block_ends(tmp_path: Path) -> None:
    target = tmp_path / "deep" / "er" / "file.txt"
    with atomic_path(target) as temporary:
        temporary.write_text("new")
        assert temporary.parent == target.parent
        assert not target.exists()
    assert target.read_text() == "new"
    assert names(target.parent) == ["file.txt"]


def test_a_block_that_raises_leaves_the_old_content_and_no_litter(tmp_path: Path) -> None:
    target = tmp_path / "file.txt"
    target.write_text("old")

    def fail() -> None:
        with atomic_path(target) as temporary:
            temporary.write_text("half of the n")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()
    assert target.read_text() == "old"
    assert names(tmp_path) == ["file.txt"]


def test_the_temporary_file_is_hidden_while_it_is_written(tmp_path: Path) -> None:
    with atomic_path(tmp_path / "image.jpg") as temporary:
        assert temporary.name.startswith(".")
        assert temporary.suffix == ".tmp"
        temporary.touch()


@pytest.mark.parametrize("umask", [0o022, 0o077, 0o002])
def test_files_have_the_permissions_that_the_umask_gives(tmp_path: Path, umask: int) -> None:
    code = (
        f"import os; os.umask({umask})\n"
        "from pathlib import Path\n"
        "from fashionai.files import write_text\n"
        "write_text(Path('a.txt'), 'x'); open('b.txt', 'w').close()\n"
    )
    root = Path(__file__).resolve().parent.parent
    environment = {**os.environ, "PYTHONPATH": str(root)}
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True, env=environment)
    modes = [stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("a.txt", "b.txt")]
    assert modes == [0o666 & ~umask] * 2


def test_text_is_written_as_utf8_with_its_newlines(tmp_path: Path) -> None:
    write_text(tmp_path / "a.txt", "höchste\n3/4\n")
    assert (tmp_path / "a.txt").read_bytes() == "höchste\n3/4\n".encode()


def test_json_has_null_for_numbers_that_are_not_finite(tmp_path: Path) -> None:
    value = {"a": math.nan, "b": [math.inf, -math.inf, 1.5], "c": {"d": (math.nan, 2)}}
    write_json(tmp_path / "a.json", value)

    def refuse(name: str) -> None:
        raise AssertionError(f"{name} is no JSON")

    read = json.loads((tmp_path / "a.json").read_text(), parse_constant=refuse)
    assert read == {"a": None, "b": [None, None, 1.5], "c": {"d": [None, 2]}}


def test_json_takes_the_scalars_of_numpy_means(tmp_path: Path) -> None:
    write_json(tmp_path / "a.json", {"map": np.float64(0.25), "nan": np.float64("nan")})
    assert json.loads((tmp_path / "a.json").read_text()) == {"map": 0.25, "nan": None}


@given(st.binary())
def test_content_hash_is_sha256_in_hexadecimal(data: bytes) -> None:
    assert content_hash(data) == hashlib.sha256(data).hexdigest()
