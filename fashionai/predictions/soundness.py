"""Images are opened before anything is computed: a bad one does not cost the others' results."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Optional

from fashionai.datasets.prepared.check import on_all_cores
from fashionai.datasets.readers.image_files import list_folder
from fashionai.errors import DataError, closest, counted
from fashionai.pipeline.decode import ImageFile, find_damage
from fashionai.progress import Advance, ProgressBar

# Called with the name of an image that is left out, and the reason.
LeaveOut = Callable[[str, str], None]

# The most bad images that an error names; the others are counted.
MOST_NAMED = 1_000
UNUSABLE = "cannot be used: "
HINT = "Give --skip-bad to go on without "


def check_images(
    images: Mapping[str, ImageFile], progress: ProgressBar, leave_out: Optional[LeaveOut] = None
) -> set[str]:
    """Open all images, by the names that messages have; returns the names of the bad ones.

    Each of them is passed to ``leave_out``; without it, raises DataError that names them all.
    """
    if not images:
        return set()
    with progress("checking images", len(images)) as advance:
        bad = find_bad(list(images.items()), advance)
    return report_bad(bad, len(images), leave_out)


def find_bad(images: Sequence[tuple[str, ImageFile]], advance: Advance) -> dict[str, str]:
    """Open images, pairs of name and file; why each bad one cannot be used, by its name."""
    found = on_all_cores(lambda item: _damage(item[1]), images, advance)
    return {name: damage for (name, _), damage in zip(images, found) if damage}


def report_bad(bad: Mapping[str, str], total: int, leave_out: Optional[LeaveOut]) -> set[str]:
    """The names of bad images among ``total`` ones, errors and ``leave_out`` as check_images."""
    if bad and leave_out is None:
        raise _refusal(bad, total, may_skip=len(bad) < total)
    for name, damage in bad.items():
        if leave_out is not None:
            leave_out(name, damage.removeprefix(UNUSABLE))
    return set(bad)


def check_files_exist(images: Mapping[str, ImageFile]) -> None:
    """DataError that names the first file that is missing, and one with a similar name."""
    for name, file in images.items():
        if not file.exists():
            raise DataError(f"{name}: no such file{_hint(file)}")


def _damage(file: ImageFile) -> str:
    """Why an image cannot be used; empty for a sound one."""
    try:
        damage = find_damage(file.read_bytes())
    except OSError as error:
        return f"cannot be read: {error.strerror}"
    return f"{UNUSABLE}{damage}" if damage else ""


def _refusal(bad: Mapping[str, str], total: int, may_skip: bool) -> DataError:
    lines = [f"{name}: {damage}" for name, damage in bad.items()]
    if len(lines) == 1:
        return DataError(lines[0], f"{HINT}it" if may_skip else "")
    if len(lines) > MOST_NAMED:
        lines[MOST_NAMED:] = [f"and {len(lines) - MOST_NAMED:,} more"]
    listed = "".join(f"\n  {line}" for line in lines)
    message = f"{len(bad):,} of {counted(total, 'image')} cannot be used{listed}"
    return DataError(message, f"{HINT}them" if may_skip else "")


def _hint(file: ImageFile) -> str:
    """A hint at an image of the same folder with a similar name, if there is one."""
    folder = file.parent
    others = list_folder(folder).images if isinstance(folder, Path) and folder.is_dir() else []
    meant = closest(file.name, others)
    return f". Did you mean '{meant}'?" if meant else ""
