"""Verifies a bundle: its bytes, and the probabilities that its program computes."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from fashionai.bundles.archive import EXPECTED_FILE, PROGRAM, PROGRAM_FILE, SAMPLE_NAME, unpack
from fashionai.engines.agreement import TOLERANCE
from fashionai.errors import DataError, InstallationError, WeightsError, shown_value
from fashionai.files.formats.json_files import parse_json

# Opening the model and computing four crops takes seconds, also for a large network.
MOST_SECONDS = 300


class Verified(NamedTuple):
    """What was compared: the number of images, and the largest difference of a probability.

    ``own_program`` is set where the bundle's predict.py is the one of this version.
    """

    files: int
    images: int
    difference: float
    own_program: bool


def verify(file: Path) -> Verified:
    """Check the bytes of a bundle, and compute its samples with predict.py in a process of its own.

    A bundle may come from anywhere: the predict.py that runs is that of this package, which is the
    bundle's as well unless another version wrote it.

    Raises DataError for a changed or damaged file, InstallationError without onnxruntime, and
    WeightsError when the program fails or a probability differs by more than 1e-4.
    """
    members = unpack(file)
    expected = _probabilities(file, members[EXPECTED_FILE].decode("utf-8", "replace"))
    for image, probabilities in expected.items():
        if image not in members or not SAMPLE_NAME.fullmatch(image):
            raise DataError(
                f"{file}: {EXPECTED_FILE} names {shown_value(image)}, expected an image of samples/"
            )
        if not probabilities:
            raise DataError(f"{file}: {EXPECTED_FILE} has no probabilities of {image}")
    if importlib.util.find_spec("onnxruntime") is None:
        raise InstallationError(
            "onnxruntime is not installed", "Run: pip install 'fashionai[onnx]'"
        )
    program = PROGRAM.read_bytes()
    found = _probabilities(file, _run({**members, PROGRAM_FILE: program}, list(expected), file))
    difference = _largest_difference(file, expected, found)
    if not difference <= TOLERANCE:
        raise WeightsError(
            f"{file}: the probabilities of its samples differ by up to {difference:.2g} from the "
            f"stored ones, expected at most {TOLERANCE:g}"
        )
    own_program = members[PROGRAM_FILE] == program
    return Verified(len(members), len(expected), difference, own_program)


def _run(members: Mapping[str, bytes], images: list[str], file: Path) -> str:
    """What predict.py prints for the images."""
    with tempfile.TemporaryDirectory(prefix="fashionai-") as folder:
        for name, data in members.items():
            path = Path(folder, name)
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(data)
        try:
            done = subprocess.run(
                [sys.executable, "-I", PROGRAM_FILE, *images],
                cwd=folder,
                capture_output=True,
                encoding="utf-8",
                errors="replace",
                timeout=MOST_SECONDS,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise WeightsError(f"{file}: not computed within {MOST_SECONDS} s") from None
    if done.returncode:
        reason = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]
        raise WeightsError(f"{file}: its samples cannot be computed: {reason}")
    return done.stdout


def _probabilities(file: Path, lines: str) -> dict[str, dict[tuple[str, str], float]]:
    """The probabilities of each image by task and class, from lines of JSON."""
    try:
        read: list[Any] = [parse_json(line) for line in lines.splitlines()]
        return {
            each["image"]: {
                (task, name): float(value)
                for task, classes in each["tasks"].items()
                for name, value in classes.items()
            }
            for each in read
        }
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError):
        raise DataError(f"{file}: {EXPECTED_FILE} does not hold probabilities") from None


def _largest_difference(
    file: Path,
    expected: Mapping[str, Mapping[tuple[str, str], float]],
    found: Mapping[str, Mapping[tuple[str, str], float]],
) -> float:
    if not expected:
        raise DataError(f"{file}: holds no samples to verify it with")
    for image, values in expected.items():
        if found.get(image, {}).keys() != values.keys():
            raise WeightsError(f"{file}: the classes of {image} are not those of {EXPECTED_FILE}")
    differences = [
        abs(value - found[image][key])
        for image, values in expected.items()
        for key, value in values.items()
    ]
    return float(np.max(differences))  # unlike max(), NaN if one of them is
