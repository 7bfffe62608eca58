"""Every command in the README runs; training commands get settings that take seconds."""

from __future__ import annotations

import re
import shlex
import shutil
import struct
from pathlib import Path

import numpy as np
import pytest

from fashionai.families import FASHIONAI_TASKS
from tests.conftest import ROOT, fashionai, write_fashionai_data
from tests.datasets.trees import (
    encode,
    put,
    write_cactus,
    write_class_folders,
    write_covers,
    write_logos,
    write_table,
)
from tests.support.image_server import ImageServer, Network, content

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


def test_the_readmes_commands_run_in_order(
    server: ImageServer,
    network: Network,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copytree(ROOT / "configs", "configs")
    write_fashionai_data(Path("data"), per_class=5)
    shutil.copyfile("data/answers.csv", "answer.csv")
    idx = Path("idx")
    idx.mkdir()
    write_small_idx(idx)
    write_own_images()
    write_other_data_sets(server)
    commands = [line for line in shell_commands() if line]
    assert len(commands) > 50
    for line in commands:
        program, command, *arguments = shlex.split(line)
        assert program == "fashionai"
        arguments = [a.replace("/usr/share/datasets/fashion-mnist", str(idx)) for a in arguments]
        if "--config" in arguments and "--resume" not in arguments:
            arguments += QUICK
        arguments += SMALLER.get(command, [])
        code = fashionai(command, *arguments)
        assert code == 0, f"{line}\n{capsys.readouterr().err}"


def write_own_images() -> None:
    """A table and class folders, and images that no label file names."""
    write_table(Path("own"), ("owl", "robin", "tit"), per_class=6)
    shutil.copyfile("own/labels.csv", "labels.csv")
    shutil.copytree("own/images", "photos")
    write_class_folders(Path("pets"), {"": 5})
    for name in ("owl.jpg", "photo.jpg", "new-photos/1.jpg", "new-covers/1.jpg"):
        put(Path(name), encode(0, np.random.default_rng(1)))


def write_other_data_sets(server: ImageServer) -> None:
    """Logos, cacti, and covers of which one is still to be fetched."""
    counts = {"trainset": 3, "valset-logosonly": 2, "testset": 2}
    no_logo = {"valset-nologos": 6, "testset": 4}
    write_logos(Path("data/flickrlogos"), counts, no_logo, ["aldi", "HP"])
    write_cactus(Path("data/cactus"))
    write_covers(Path("data/covers"), below="")
    server.pages["/1.jpg"] = content(encode(1, np.random.default_rng(2)))
    put(Path("urls.csv"), "url\nhttp://covers.example/1.jpg\n")


def write_small_idx(folder: Path) -> None:
    """The four files of Fashion-MNIST's format with a few random images."""
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
    written = [f"configs/{task}.yaml" for task in re.findall(r"fashionai init (\w+)", README)]
    for path in set(named) - set(written):
        assert (ROOT / path).is_file(), path
