"""Every command in the README runs; training commands get settings that take seconds."""

from __future__ import annotations

import re
import shlex
import shutil
from pathlib import Path

import pytest

from fashionai.tasks import FASHIONAI_TASKS
from tests.conftest import ROOT, run_cli, write_fashionai_data
from tests.datasets.trees import write_class_folders, write_table

README = (ROOT / "README.md").read_text(encoding="utf-8")
QUICK = [
    *("model.name=small_cnn", "model.pretrained=false", "epochs=1", "batch_size=16"),
    *("data.resize_short=36", "data.crop=32"),
]
# Where the README's numbers of images would take minutes.
SMALLER = {
    "demo": ["--train-images", "60", "--test-images", "12"],
    "find-lr": ["--steps", "20"],
    "cross-validate": ["--crops", "1"],
}


def shell_commands() -> list[str]:
    """Lines of the ``sh`` blocks, comments cut off."""
    blocks = re.findall(r"^```sh\n(.*?)^```", README, flags=re.MULTILINE | re.DOTALL)
    return [line.split("#")[0].strip() for block in blocks for line in block.splitlines()]


def test_the_readmes_commands_run_in_order(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "configs", tmp_path / "configs")
    write_fashionai_data(tmp_path / "data", per_class=5)
    shutil.copyfile(tmp_path / "data/answers.csv", tmp_path / "answer.csv")
    idx = tmp_path / "idx"
    idx.mkdir()
    write_small_idx(idx)
    write_table(tmp_path / "own", ("owl", "robin", "tit"), per_class=6)
    shutil.copyfile(tmp_path / "own/labels.csv", tmp_path / "labels.csv")
    shutil.copytree(tmp_path / "own/images", tmp_path / "photos")
    write_class_folders(tmp_path / "pets", {"": 5})
    commands = [line for line in shell_commands() if line]
    assert len(commands) > 12
    for line in commands:
        program, command, *arguments = shlex.split(line)
        assert program == "fashionai"
        arguments = [a.replace("/usr/share/datasets/fashion-mnist", str(idx)) for a in arguments]
        if "--config" in arguments and "--resume" not in arguments:
            arguments += QUICK
        arguments += SMALLER.get(command, [])
        done = run_cli(command, *arguments, cwd=tmp_path)
        assert done.returncode == 0, f"{line}\n{done.stderr}"


def write_small_idx(folder: Path) -> None:
    """The four files of Fashion-MNIST's format with a few random images."""
    import struct

    import numpy as np

    rng = np.random.default_rng(0)
    for name, count in (("train", 60), ("t10k", 20)):
        images = rng.integers(0, 256, (count, 28, 28), dtype=np.uint8)
        labels = np.arange(count, dtype=np.uint8) % 10
        (folder / f"{name}-images-idx3-ubyte").write_bytes(
            struct.pack(">4B3I", 0, 0, 8, 3, count, 28, 28) + images.tobytes()
        )
        (folder / f"{name}-labels-idx1-ubyte").write_bytes(
            struct.pack(">4BI", 0, 0, 8, 1, count) + labels.tobytes()
        )


@pytest.mark.parametrize("task", FASHIONAI_TASKS, ids=lambda task: task.short_name)
def test_every_task_is_named(task) -> None:
    listed = re.search(r"`(skirt coat [a-z ]+)`", README)
    assert listed is not None
    assert task.short_name in listed.group(1).split()


def test_every_path_that_the_readme_names_exists() -> None:
    named = re.findall(r"\./(?:scripts/)?[a-z_]+\.sh|configs/[a-z_]+\.yaml", README)
    assert named
    for path in named:
        assert (ROOT / path).is_file(), path
