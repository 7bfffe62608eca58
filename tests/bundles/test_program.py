"""The program in a bundle: what it says of files that it cannot read, and how it writes names."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image


def test_the_program_goes_on_after_what_it_cannot_read(bundle: Path, tmp_path: Path) -> None:
    zipfile.ZipFile(bundle).extractall(tmp_path)
    (tmp_path / "notes.jpg").write_text("no image")
    names = ["samples", "samples/1.png", "notes.jpg", "missing.jpg", "samples/2.png"]
    command = [sys.executable, "-I", "predict.py", *names]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert done.stderr.splitlines() == [
        "samples: is a folder; give image files",
        "notes.jpg: not an image that OpenCV can read",
        "missing.jpg: no such file",
    ]
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert [line["image"] for line in lines] == ["samples/1.png", "samples/2.png"]
    assert done.returncode == 1


def test_the_program_writes_names_as_they_are_wherever_it_writes_to(
    bundle: Path, tmp_path: Path
) -> None:
    zipfile.ZipFile(bundle).extractall(tmp_path)
    names = ["jupe-d\u2019\u00e9t\u00e9.png", os.fsdecode(b"other-\xe9.png")]
    for name in names:
        shutil.copy(tmp_path / "samples/1.png", tmp_path / name)
    # A pipe of an encoding that cannot write them.
    environment = {**os.environ, "PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"}
    command = [sys.executable, "predict.py", *names]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, env=environment, timeout=60)
    assert (done.returncode, done.stderr) == (0, b"")
    lines = done.stdout.decode("utf-8").splitlines()
    assert names[0] in lines[0]
    assert [json.loads(line)["image"] for line in lines] == names


def test_the_program_names_what_is_no_image(bundle: Path, tmp_path: Path) -> None:
    zipfile.ZipFile(bundle).extractall(tmp_path)
    (tmp_path / "notes.jpg").write_text("no image")
    (tmp_path / "empty.jpg").touch()
    for name in ("notes.jpg", "empty.jpg"):
        command = [sys.executable, "-I", "predict.py", name]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60)
        assert done.stderr == f"{name}: not an image that OpenCV can read\n"
        assert done.returncode == 1


@pytest.mark.parametrize("size", [(60, 60), (70, 50)])
def test_the_program_reads_a_transparent_image_with_an_orientation_as_one_without(
    bundle: Path, tmp_path: Path, size: tuple[int, int]
) -> None:
    """OpenCV turns the colours of such a file upright, and its alpha not."""
    zipfile.ZipFile(bundle).extractall(tmp_path)
    pixels = np.random.default_rng(5).integers(0, 256, (5, 7, 4), np.uint8)
    picture = Image.fromarray(pixels).resize(size, Image.Resampling.BICUBIC)
    orientation = Image.Exif()
    orientation[0x0112] = 6
    picture.save(tmp_path / "plain.png")
    picture.save(tmp_path / "marked.png", exif=orientation)
    command = [sys.executable, "-I", "predict.py", "plain.png", "marked.png"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
    plain, marked = (json.loads(line)["tasks"] for line in done.stdout.splitlines())
    assert marked == plain


def test_the_program_tells_what_it_needs(bundle: Path, tmp_path: Path) -> None:
    zipfile.ZipFile(bundle).extractall(tmp_path)
    command = [sys.executable, "-I", "predict.py"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert "python predict.py IMAGE..." in done.stderr
    assert "Traceback" not in done.stderr
    assert done.returncode == 1


def test_the_program_refuses_images_of_16_bits(bundle: Path, tmp_path: Path) -> None:
    zipfile.ZipFile(bundle).extractall(tmp_path)
    Image.fromarray(np.full((99, 99), 40_000, np.uint16)).save(tmp_path / "deep.png")
    command = [sys.executable, "-I", "predict.py", "deep.png"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (
        1,
        "deep.png: more than 8 bits per value, expected 8\n",
    )
