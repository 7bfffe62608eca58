"""A disk that is full is reported with the name of the file that does not fit."""

import errno
import shutil
from pathlib import Path

import numpy as np
import pytest

from fashionai.files import atomic_path, named_errors, write_json
from fashionai.files.formats.csv_files import write_rows
from tests.support.commands import fashionai, files_of_at_most
from tests.support.images import encode


def write_bytes(path: Path) -> None:
    with atomic_path(path) as temporary:
        temporary.write_bytes(bytes(1000))


def write_array(path: Path) -> None:
    with atomic_path(path) as temporary, open(temporary, "wb") as handle:
        np.save(handle, np.zeros(1000))


@pytest.mark.parametrize(
    "write",
    [
        write_bytes,
        write_array,
        lambda path: write_rows(path, [["some text"]] * 200),
        lambda path: write_json(path, list(range(1000))),
    ],
)
def test_the_file_is_named(write: object, tmp_path: Path) -> None:
    with (
        files_of_at_most(500),
        pytest.raises(OSError, match=r"File too large|requested and") as caught,
    ):
        write(tmp_path / "out")
    assert caught.value.filename == str(tmp_path / "out")
    assert not list(tmp_path.iterdir())


def test_a_copy_that_does_not_fit_names_its_target(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="No space") as caught, atomic_path(tmp_path / "out") as new:
        raise OSError(errno.ENOSPC, "No space left", "source.jpg", None, str(new))
    assert caught.value.filename == str(tmp_path / "out")


def test_other_errors_keep_their_names(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError) as caught, named_errors(tmp_path / "out"):
        Path("source.jpg").read_bytes()
    assert caught.value.filename == "source.jpg"


def test_prepare_names_the_copy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for label in ("cat", "dog"):
        for number in range(3):
            file = tmp_path / f"photos/{label}/{number}.png"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(encode(number, np.random.default_rng(number), ".png"))

    def copy(source: Path, target: Path) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", str(source), None, str(target))

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(shutil, "copyfile", copy)
    assert fashionai("prepare", "--task", "pets", "--folders", "photos", "--mode", "copy") == 2
    error = capsys.readouterr().err
    assert error.startswith("Error: data/train_valid/pets/train/")
    assert error.endswith("png: No space left on device\n")


def test_demo_names_the_image(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    with files_of_at_most(500):
        assert fashionai("demo", "--train-images", 1, "--test-images", 1) == 2
    assert capsys.readouterr().err.startswith("Error: data/demo/base/Images/")
