"""The most probable classes of images: files, folders and URLs."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple, Optional

import numpy as np

from fashionai.datasets.questions import list_images
from fashionai.errors import DataError, RunError, counted
from fashionai.files import named_errors
from fashionai.files.default_folders import RUNS_FOLDER
from fashionai.files.outputs import csv_kind, json_kind
from fashionai.pipeline.crop_counts import DEFAULT_CROPS
from fashionai.predictions.formats import DECIMALS, as_written
from fashionai.predictions.predict import Request, predict
from fashionai.predictions.run_choice import Candidates
from fashionai.predictions.soundness import LeaveOut, check_files_exist, check_images
from fashionai.progress import ProgressBar
from fashionai.runs import Run, hint_at_resuming
from fashionai.tasks import Task
from fashionai.web.downloads import DownloadLimits, fetch_image_bytes
from fashionai.web.urls import is_url

COLUMNS = ("image", "task", "rank", "class", "probability")
# What to_rows and to_json give, as files.
CSV_RESULTS = csv_kind("classes", COLUMNS)
JSON_RESULTS = json_kind(
    "classes", lambda value: isinstance(value, list) and _is_classified(next(iter(value), None))
)

# The classes of one task with their probabilities, the most probable first.
RankedClasses = list[tuple[str, float]]


class Classified(NamedTuple):
    """An image under the name that was given, and the most probable classes of each task."""

    image: str
    tasks: dict[Task, RankedClasses]


def choose_runs(candidates: Candidates) -> dict[Task, list[Run]]:
    """Every task that can be predicted, with the runs that are averaged for it.

    Raises RunError when there is none, and for a task with different classes in two runs.
    """
    tasks = candidates.usable_tasks
    if not tasks:
        begin = hint_at_resuming(candidates.unfinished) or "Train one"
        raise RunError(f"{RUNS_FOLDER}: no finished run there", f"{begin}, or name one with --run")
    return candidates.by_task(tasks)


def classify(
    images: Sequence[str],
    runs: dict[Task, list[Run]],
    contexts: list[Any],
    *,
    top: int,
    limits: DownloadLimits,
    rng: np.random.Generator,
    progress: ProgressBar,
    crops: int = DEFAULT_CROPS,
    batch_size: int = 16,
    leave_out: Optional[LeaveOut] = None,
    **options: Any,
) -> list[Classified]:
    """The ``top`` most probable classes of each task for files, folders and URLs, in order.

    A folder stands for all images in it and in its folders, sorted by name. Downloaded images
    are checked like files and not kept; ``rng`` varies the pauses between tries. Probabilities
    are averaged over crops and runs and rounded to 8 decimals. ``leave_out`` is called with the
    name of each image that cannot be downloaded or used, and with the reason. ``options`` are
    those of predict. Raises DataError for an image that is missing or given twice, for a folder
    without images, and without ``leave_out`` for all images that cannot be used.
    """
    with _files(images, limits, rng, progress, leave_out) as files:
        paths = list(files.values())
        requests = [Request(task, paths, own) for task, own in runs.items()]
        used = {run for own in runs.values() for run in own}
        with progress(counted(crops, "crop"), len(files) * len(used)) as advance:
            predicted = predict(
                requests,
                contexts,
                crops=crops,
                batch_size=batch_size,
                progress=advance,
                **options,
            )
    return [
        Classified(
            image,
            {task: rank_classes(task, values[row], top) for task, values in zip(runs, predicted)},
        )
        for row, image in enumerate(files)
    ]


def to_json(results: Sequence[Classified]) -> list[dict[str, Any]]:
    """Results as JSON: tasks by full name, classes in falling order of probability."""
    return [
        {
            "image": image,
            "tasks": {task.name: ranked_json(ranked) for task, ranked in tasks.items()},
        }
        for image, tasks in results
    ]


def ranked_json(ranked: RankedClasses) -> list[dict[str, Any]]:
    """The classes of one task as JSON."""
    return [{"class": name, "probability": value} for name, value in ranked]


def _is_classified(value: Any) -> bool:
    """Whether a value is one of those that to_json gives."""
    return isinstance(value, dict) and set(value) == {"image", "tasks"}


def to_rows(results: Sequence[Classified]) -> Iterator[tuple[str, ...]]:
    """Results as CSV rows: a header, then one row per image, task and class."""
    yield COLUMNS
    for image, tasks in results:
        for task, ranked in tasks.items():
            for rank, (name, value) in enumerate(ranked, start=1):
                yield image, task.name, str(rank), name, f"{value:.{DECIMALS}f}"


def rank_classes(task: Task, probabilities: np.ndarray, top: Optional[int] = None) -> RankedClasses:
    """The ``top`` most probable classes, or all, of probabilities ``(C,)``."""
    values = as_written(probabilities)
    order = np.argsort(-values, kind="stable")[:top]
    return [(task.classes[index], float(values[index])) for index in order]


@contextmanager
def _files(
    images: Sequence[str],
    limits: DownloadLimits,
    rng: np.random.Generator,
    progress: ProgressBar,
    leave_out: Optional[LeaveOut],
) -> Iterator[dict[str, Path]]:
    """The file of each image by the name that is shown, all checked. URLs are downloaded."""
    names = _expand(images)
    urls = [name for name in names if is_url(name)]
    with TemporaryDirectory(prefix="fashionai-") as folder:
        # Files are checked first: a missing one is reported before anything is downloaded.
        files = {name: Path(name) for name in names if name not in urls}
        check_files_exist(files)
        bad = check_images(files, progress, leave_out)
        fetched = _fetch(urls, Path(folder), limits, rng, progress, leave_out)
        bad |= check_images(fetched, progress, leave_out)
        found = files | fetched
        usable = {name: found[name] for name in names if name in found and name not in bad}
        if not usable:
            raise DataError("no image is left to classify" if names else "no images to classify")
        yield usable


def given_files(images: Sequence[str]) -> dict[str, Path]:
    """The files of images and of the images in folders, by the name that messages have.

    Raises DataError for one that is missing or given twice, and for a URL.
    """
    files = {name: Path(name) for name in _expand(images)}
    check_files_exist(files)
    return files


def _fetch(
    urls: Sequence[str],
    folder: Path,
    limits: DownloadLimits,
    rng: np.random.Generator,
    progress: ProgressBar,
    leave_out: Optional[LeaveOut],
) -> dict[str, Path]:
    """Download images into a folder; those that fail are left out, or raise DataError."""
    fetched = {}
    # The bytes that arrive, not the images: there are few, and one alone may take long.
    with progress("fetching images", 0, "B") as advance:
        for number, url in enumerate(urls):
            try:
                data = fetch_image_bytes(url, limits, rng, progress=advance)
            except DataError as error:
                if leave_out is None:
                    raise
                leave_out(url, str(error).removeprefix(f"{url}: "))
            else:
                fetched[url] = folder / str(number)
                with named_errors(fetched[url]):
                    fetched[url].write_bytes(data)
    return fetched


def _expand(images: Sequence[str]) -> list[str]:
    """The given images, with each folder replaced by the images in it."""
    places: dict[str, str] = {}
    for given in images:
        for name in _images_of(given):
            place = name if is_url(name) else os.path.normpath(Path(name).absolute())
            if place in places:
                also = f", also as {places[place]}" if places[place] != name else ""
                raise DataError(f"{name}: is given twice{also}")
            places[place] = name
    return list(places.values())


def _images_of(given: str) -> list[str]:
    """The images of a folder, or the argument itself."""
    folder = Path(given)
    if is_url(given) or not folder.is_dir():
        return [given]
    return [str(folder / name) for name in list_images(folder)]
