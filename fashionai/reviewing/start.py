"""Starts the page of a review, and ends it."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from pathlib import Path
from typing import Callable, NamedTuple, Optional

from fashionai.datasets.prepared.folders import find_prepared
from fashionai.errors import DataError, counted
from fashionai.files.locks import locked
from fashionai.inspection.findings import read_findings
from fashionai.inspection.images import TaskImages, read_images
from fashionai.reviewing.decisions import Decisions
from fashionai.reviewing.items import Item, items_of_all, items_of_findings
from fashionai.serving.start import check_installed

LOOPBACK = "127.0.0.1"


class ReviewFiles(NamedTuple):
    """The prepared task, the findings of ``inspect`` if any, and the file of decisions."""

    task: str
    folder: Path
    suspects: Optional[Path]
    corrections: Path


def review(files: ReviewFiles, port: int, announce: Callable[[str], None]) -> int:
    """Serve the page until SIGINT or SIGTERM; port 0 takes a free one.

    ``announce`` is called with lines for the user. Returns the number of decisions.
    Raises InstallationError without the packages, DataError for a task that is not prepared, for
    damaged or empty findings and while another review writes the decisions, and ConfigError for a
    port in use.
    """
    check_installed()
    # They import what check_installed has looked for.
    from fashionai.reviewing.application import Review, create_app
    from fashionai.serving.listening import listen, run_until_stopped, url_of

    task = find_prepared(files.task, files.folder)
    images = read_images(files.folder / task.name)
    items = _items(images, files.suspects)
    decisions = Decisions(files.corrections, task, files.folder / task.name)
    decisions.file.parent.mkdir(parents=True, exist_ok=True)
    lock = decisions.file.with_name(f".{decisions.file.name}.lock")
    busy = DataError(f"{files.corrections}: another review writes it", "End that one first")
    token = secrets.token_urlsafe(16)
    with locked(lock, busy), listen(LOOPBACK, port) as listening:
        announce(f"{counted(len(items), 'image')} to review; open in a browser:")
        announce(f"{url_of(listening)}{token}/")
        announce(f"Decisions are saved in {files.corrections}. Ctrl-C ends the review.")
        app = create_app(Review(images, items, decisions), token)
        run_until_stopped(app, listening, seconds_to_stop=3)
    if not files.corrections.exists():
        announce(f"No decisions, so {files.corrections} was not written")
        return 0
    announce(f"{files.corrections}: {counted(len(decisions.rows), 'decision')}")
    return len(decisions.rows)


def _items(images: TaskImages, suspects: Optional[Path]) -> Sequence[Item]:
    if suspects is None:
        return items_of_all(images)
    items = items_of_findings(images, read_findings(suspects))
    if not items:
        raise DataError(f"{suspects}: has no findings, so there is nothing to review")
    return items
