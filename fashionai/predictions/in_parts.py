"""Probabilities in parts that are kept in files: for long predictions and several processes.

Batches do not cross the borders of parts, and all parts have whole batches. Therefore the
probabilities are those of one process that computes all images at once.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Optional

import numpy as np

import fashionai
from fashionai.engines.choice import fastest_engine, open_fastest
from fashionai.engines.opening import open_engine
from fashionai.engines.protocol import Engine
from fashionai.engines.registry import AUTO
from fashionai.files import content_hash, file_hash, write_json
from fashionai.files.formats.json_files import read_json
from fashionai.pipeline.crop_counts import DEFAULT_CROPS
from fashionai.pipeline.decode import PIXELS_VERSION, ImageFile
from fashionai.predictions.parts import CHECKED, ENGINES_FILE, PART_IMAGES, Parts, unreadable
from fashionai.predictions.predict import (
    Request,
    RunImages,
    check_requests,
    distinct_runs,
    images_of_run,
    predict_with_engine,
)
from fashionai.predictions.soundness import LeaveOut, find_bad, report_bad
from fashionai.progress import Advance, ProgressBar, no_progress
from fashionai.runs import Run

# Parts of a run that are kept in memory while rows are put together.
KEPT_PARTS = 8


def images_per_part(batch_size: int) -> int:
    """The number of images in a part: whole batches, at least PART_IMAGES images."""
    return batch_size * math.ceil(PART_IMAGES / batch_size)


def is_long(requests: Sequence[Request], batch_size: int) -> bool:
    """Whether some run has more images to compute than one part has."""
    runs = distinct_runs(requests)
    most = max(len(images_of_run(run, requests).images) for run in runs)
    return most > images_per_part(batch_size)


def describe(
    requests: Sequence[Request],
    names: Sequence[Sequence[str]],
    *,
    crops: int,
    batch_size: int,
    engine: str,
) -> dict[str, Any]:
    """What identifies a prediction, so that parts of another one are not used for it.

    ``names`` are those of each request's rows; ``batch_size`` counts the images on all devices.
    """
    return {
        "images": content_hash(
            "".join(_hash_of_rows(*each) for each in zip(requests, names)).encode()
        ),
        "runs": [_identify(run, engine) for run in distinct_runs(requests)],
        "crops": crops,
        "batch size": batch_size,
        "engine": engine,
        "fashionai": f"{fashionai.__version__}, pixels {PIXELS_VERSION}",
    }


def _hash_of_rows(request: Request, names: Sequence[str]) -> str:
    """A hash of the rows of a request: its task and the name and file of each image."""
    task = request.task
    lines = [task.name, *task.classes]
    digest = content_hash("\0".join(lines).encode("utf-8", "surrogateescape"))
    for start in range(0, len(names), PART_IMAGES):
        rows = slice(start, start + PART_IMAGES)
        texts = [*names[rows], *map(str, request.images[rows])]
        digest = content_hash("\0".join([digest, *texts]).encode("utf-8", "surrogateescape"))
    return digest


def _identify(run: Run, engine: str) -> str:
    """A hash of what a run predicts with."""
    parts = [run.check_weights(), file_hash(run.folder.config_file)]
    if run.crop is not None:
        parts.append(f"crop {run.crop}")
    if engine == "int8" and run.folder.int8_report.is_file():
        parts.append(file_hash(run.folder.int8_report))
    return content_hash(" ".join(parts).encode())


def check_images_in_parts(
    images: Sequence[ImageFile],
    parts: Parts,
    progress: ProgressBar,
    leave_out: Optional[LeaveOut] = None,
) -> set[str]:
    """As soundness.check_images, by several processes, and not again when it is resumed."""
    numbers = range(math.ceil(len(images) / PART_IMAGES))
    with progress("checking images", len(images)) as advance:
        for number in parts.own(len(numbers)):
            rows = slice(number * PART_IMAGES, (number + 1) * PART_IMAGES)
            if parts.read_texts(_checked_name(number)) is None:
                block = [(str(image), image) for image in images[rows]]
                parts.write_texts(_checked_name(number), find_bad(block, advance))
            else:
                advance(len(images[rows]))
    parts.meeting.reach(CHECKED)
    parts.meeting.wait_for(CHECKED, lambda: parts.finished(CHECKED))
    bad: dict[str, str] = {}
    for number in numbers:
        found = parts.read_texts(_checked_name(number))
        if found is None:
            raise unreadable(parts.folder, _checked_name(number))
        bad.update(found)
    if bad and leave_out is None and not parts.finished("run"):
        _remove(parts)  # the images may be other ones when the command runs again
    parts.set_left_out(sorted(bad))
    return report_bad(bad, len(images), leave_out)


def compute_parts(
    requests: Sequence[Request],
    contexts: list[Any],
    parts: Parts,
    *,
    crops: int = DEFAULT_CROPS,
    batch_size: int = 16,
    engine: str = AUTO,
    progress: Advance = no_progress,
) -> list[PartedRows]:
    """Compute the parts of this process; returns the rows of each request.

    They can be read when all processes have reached ``done``. Options and errors are those of
    predict.
    """
    check_requests(requests, crops)
    whole_batch = batch_size * len(contexts)
    size = images_per_part(whole_batch)
    stored = [
        _StoredRun(parts, number, run, images_of_run(run, requests), size)
        for number, run in enumerate(distinct_runs(requests))
    ]
    if engine == AUTO:
        _choose_engines(stored, parts, contexts, crops)
    others = _OtherProcesses(parts, size, progress)
    for own in stored:
        lazy = _LazyEngine(own, contexts, engine)
        total = len(own.work.images)
        options = {"crops": crops, "batch_size": whole_batch, "total": total}
        for part in parts.own(own.parts):
            images = own.work.images[part * size : (part + 1) * size]
            if own.read(part) is not None:
                progress(len(images))
            else:
                opened = lazy.engine
                values = predict_with_engine(opened, own.run, images, progress=progress, **options)
                parts.write(own.name(part), values)
            others.tell()
    parts.meeting.reach("done")
    return [
        PartedRows(request, number, [own for own in stored if own.run in request.runs])
        for number, request in enumerate(requests)
    ]


def wait_for_parts(parts: Parts) -> None:
    """Wait until all processes have computed their parts."""
    parts.meeting.wait_for("done", lambda: parts.finished("run"))


def gather(rows: Sequence[PartedRows], parts: Parts) -> list[np.ndarray]:
    """All rows of each request ``(N, C) float64``, for every process. The parts are removed."""
    wait_for_parts(parts)
    found = [each.whole() for each in rows]
    _remove(parts)
    return found


def _remove(parts: Parts) -> None:
    """Remove the parts when all processes have read them; they go on when that is done."""
    parts.meeting.reach("read")
    if parts.place.is_first:
        parts.meeting.wait_for("read")
        parts.remove()
    else:
        parts.meeting.wait_for_end()


class PartedRows:
    """The probabilities of a request, read part by part."""

    def __init__(self, request: Request, number: int, runs: Sequence[_StoredRun]) -> None:
        self._request, self._number, self._runs = request, number, runs

    def __len__(self) -> int:
        return len(self._request.images)

    def __iter__(self) -> Iterator[np.ndarray]:
        for block in self.blocks():
            yield from block

    def blocks(self) -> Iterator[np.ndarray]:
        """Consecutive rows ``(B, C) float64``."""
        task = self._request.task
        for start in range(0, len(self), PART_IMAGES):
            stop = min(start + PART_IMAGES, len(self))
            total = np.zeros((stop - start, len(task.classes)))
            for own in self._runs:
                rows = own.work.rows_of(self._number, start, stop)
                total += self._request.of_run(own.run, own.rows(rows))
            yield total / len(self._request.runs)

    def whole(self) -> np.ndarray:
        """All rows ``(N, C) float64``."""
        return np.concatenate(list(self.blocks()))


class _StoredRun:
    """The parts of one run."""

    def __init__(self, parts: Parts, number: int, run: Run, work: RunImages, size: int) -> None:
        self.run, self.work = run, work
        self.folder, self.key = parts.folder, str(number)
        self._parts, self._size = parts, size
        self._kept = functools.lru_cache(KEPT_PARTS)(self._read_finished)

    @property
    def parts(self) -> int:
        """The number of parts."""
        return math.ceil(len(self.work.images) / self._size)

    def name(self, part: int) -> str:
        """The name of a part's file."""
        return f"run{self.key}-{part:06}.npz"

    def read(self, part: int) -> Optional[np.ndarray]:
        """A part, or None when it is not finished."""
        rows = min(self._size, len(self.work.images) - part * self._size)
        return self._parts.read(self.name(part), rows, self.run.columns[-1].stop)

    def rows(self, images: np.ndarray) -> np.ndarray:
        """The probabilities ``(N, C)`` of images, by their numbers ``(N,) int64``."""
        found = np.empty((len(images), self.run.columns[-1].stop))
        part_of = images // self._size
        for part in np.unique(part_of).tolist():
            chosen = part_of == part
            found[chosen] = self._kept(part)[images[chosen] - part * self._size]
        return found

    def _read_finished(self, part: int) -> np.ndarray:
        values = self.read(part)
        if values is None:
            raise unreadable(self.folder, self.name(part))
        return values


def _choose_engines(
    stored: Sequence[_StoredRun], parts: Parts, contexts: list[Any], crops: int
) -> None:
    """Keep the name of the fastest engine of each run: all processes and later parts need it."""
    file = parts.folder / ENGINES_FILE
    if parts.place.is_first:
        known = _read_engines(file)
        for own in stored:
            if own.key not in known:
                views = crops * len(own.work.images)
                known[own.key] = fastest_engine(own.run, contexts, views)
        write_json(file, known)
    parts.meeting.reach("chosen")
    parts.meeting.wait_for("chosen")


class _LazyEngine:
    """The engine of a run, opened for the first part that has to be computed."""

    def __init__(self, stored: _StoredRun, contexts: list[Any], name: str) -> None:
        self._stored, self._contexts, self._name = stored, contexts, name

    @functools.cached_property
    def engine(self) -> Engine:
        """The engine. Errors are those of open_engine."""
        run = self._stored.run
        if self._name != AUTO:
            return open_engine(run, self._contexts, self._name)
        chosen = _read_engines(self._stored.folder / ENGINES_FILE)[self._stored.key]
        return open_fastest(run, self._contexts, chosen)[1]


def _read_engines(file: Path) -> dict[str, str]:
    """The engines by the number of the run, as far as they have been chosen."""
    try:
        found = read_json(file)
    except (OSError, ValueError):
        return {}
    return {key: str(name) for key, name in found.items()} if isinstance(found, dict) else {}


class _OtherProcesses:
    """Reports the images of the parts that other processes finish."""

    def __init__(self, parts: Parts, size: int, progress: Advance) -> None:
        self._parts, self._size, self._progress = parts, size, progress
        self._own = self._told = 0

    def tell(self) -> None:
        """Report what is new; called after each part of this process."""
        self._own += 1
        if self._parts.place.count == 1:
            return
        found = max(0, self._parts.finished("run") - self._own)
        self._progress((found - self._told) * self._size)
        self._told = found


def _checked_name(number: int) -> str:
    return f"{CHECKED}-{number:06}.npz"
