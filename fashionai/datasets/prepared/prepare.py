"""prepare: check the images of a data set, split them and put them into class folders."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import compress
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Optional

from fashionai.datasets.corrections import (
    CORRECT,
    DROP,
    Correction,
    corrected,
    dropped,
    read_corrections,
)
from fashionai.datasets.names import GROUP, IGNORE, NEAR_DUPLICATES, REPORT, SPLITS, check_choice
from fashionai.datasets.prepared.alike import (
    Alike,
    count_alike,
    in_one_group,
    inspect_command,
    notes_on_alike,
    were_grouped,
)
from fashionai.datasets.prepared.check import Checked, check_images, conflicting_groups
from fashionai.datasets.prepared.folders import (
    APPLIED_CORRECTIONS,
    REJECTED,
    REJECTED_HEADER,
    FileChanges,
    count_pseudo_labels,
    plan_folders,
    write_folders,
)
from fashionai.datasets.prepared.manifest import MANIFEST
from fashionai.datasets.prepared.place import check_place
from fashionai.datasets.prepared.pseudo import (
    PseudoLabels,
    compare,
    notes_on_pseudo_labels,
)
from fashionai.datasets.prepared.split import join_groups, split_records
from fashionai.datasets.pseudo_labels import with_pseudo_labels
from fashionai.datasets.records import DataSet, LabelledImage
from fashionai.errors import ConfigError, DataError, counted, os_errors_as_data_errors
from fashionai.files.abandoned import remove_temporary_files
from fashionai.files.formats.csv_files import readable_rows, write_rows
from fashionai.files.locks import LOCK_FILE, locked
from fashionai.metrics import advice_on_classes
from fashionai.pipeline.decode import Trait
from fashionai.progress import ProgressBar
from fashionai.tasks import Task
from fashionai.text_width import left_aligned, text_width

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Summary:
    """What prepare did.

    ``counts`` holds the number of images by class index and split, and ``rejected`` the
    unusable images with their reasons. ``duplicates`` counts, by class index, the images whose
    bytes are equal to those of an earlier image. ``crossing_splits`` counts those of them that
    are the first such image in another split, which only a data set's own split can cause.
    ``conflicts`` holds groups of images with equal bytes and different classes.
    ``unsplit_classes`` are the indices of the classes that are in only one of train and val.
    ``changes`` are the numbers of files that were written and removed, and ``notes`` are the
    notes of the reader. ``traits`` holds the images that a user should know about, by trait.
    ``alike`` counts near-duplicates, where they were looked for, and ``ungrouped`` tells that only
    an earlier prepare kept them in one split. ``corrections`` counts the rows that were applied by
    their action, and ``former_corrections`` is the number of those that an earlier prepare had
    applied and this one has not. ``pseudo_labels`` are the numbers of images with a pseudo-label.
    """

    task: Task
    folder: Path
    counts: Counter[tuple[int, str]]
    rejected: list[tuple[LabelledImage, str]] = field(repr=False)
    duplicates: Counter[int]
    crossing_splits: int
    conflicts: list[list[LabelledImage]] = field(repr=False)
    unsplit_classes: list[int]
    changes: FileChanges
    notes: list[str]
    traits: dict[Trait, list[LabelledImage]] = field(default_factory=dict, repr=False)
    alike: Optional[Alike] = None
    ungrouped: bool = False
    corrections: Counter[str] = field(default_factory=Counter)
    former_corrections: int = 0
    pseudo_labels: PseudoLabels = field(default_factory=PseudoLabels)
    with_pseudo_labels: bool = False
    grouped: bool = False

    @property
    def changed(self) -> int:
        """The number of files that were written or removed."""
        return sum(self.changes)

    @property
    def columns(self) -> dict[str, list[int]]:
        """Numbers of images by class: of every split, rejected ones, duplicates."""
        splits = [name for name in SPLITS if any(split == name for _, split in self.counts)]
        rejected = Counter(image.class_index for image, _ in self.rejected)
        indices = range(len(self.task.labels))
        return {
            **{split: [self.counts[index, split] for index in indices] for split in splits},
            "rejected": [rejected[index] for index in indices],
            "duplicates": [self.duplicates[index] for index in indices],
        }

    def to_frame(self) -> pd.DataFrame:
        """Numbers of images: a row per class, a column per split, rejected and duplicates."""
        import pandas as pd

        return pd.DataFrame(self.columns, index=pd.Index(self.task.labels, name="class"))


@os_errors_as_data_errors()
def prepare(
    data_set: DataSet,
    out: Path,
    *,
    val_fraction: Optional[float] = None,
    seed: int = 0,
    mode: str = "hardlink",
    skip_bad: bool = False,
    near_duplicates: str = REPORT,
    corrections: Optional[Path] = None,
    pseudo_labels: Optional[Path] = None,
    progress: ProgressBar,
) -> Summary:
    """Put the images of a data set into the class folders of ``out/<task>``.

    ``val_fraction`` is the share of images for validation, in [0, 1), and defaults to that of
    the data set; it applies to images whose split the data set does not prescribe. ``seed``
    decides which they are. ``mode`` is one of fashionai.datasets.names.MODES. Images that
    cannot be used are listed in ``rejected.csv`` of the task's folder. With ``skip_bad`` the
    others are prepared; without it, nothing is written but that list. ``near_duplicates`` is one of
    NEAR_DUPLICATES: they are counted, kept in one split as well, or not looked for.
    ``corrections`` is a file of corrections of the labels, which are kept in the task's folder.
    ``pseudo_labels`` is a file of predicted classes of other images, which are added to train;
    they do not change how the labelled images are split. Those that are labelled or dropped by
    corrections stay out, and where near-duplicates are kept in one split those that look like one.
    Raises ConfigError for a ``val_fraction`` out of range and for a file of the user's that a
    result would replace, and DataError for images that cannot be used or that lie in the class
    folders to write, corrections that do not fit the labels, a folder that holds files of the user
    or that another process prepares, and for disk errors.
    """
    check_choice("near_duplicates", near_duplicates, NEAR_DUPLICATES)
    placed = [] if corrections is None else read_corrections(corrections, data_set.task)
    unwanted = [] if pseudo_labels is None else dropped(data_set, placed)
    data_set = corrected(data_set, placed)
    if pseudo_labels is not None:
        data_set = with_pseudo_labels(data_set, pseudo_labels)
    choices = [("the validation fraction", val_fraction is not None), ("the seed", seed != 0)]
    given = [name for name, is_given in choices if is_given]
    if val_fraction is None:
        val_fraction = data_set.val_fraction
    if not 0 <= val_fraction < 1:
        raise ConfigError(
            f"val_fraction: found {val_fraction}, expected a number from 0 to below 1"
        )
    if given and all(image.split for image in data_set.images):
        verb = "is" if len(given) == 1 else "are"
        unused = f"{' and '.join(given)} {verb} not used: the data set gives the splits"
        data_set = data_set._replace(notes=[*data_set.notes, unused])
    folder = out / data_set.task.name
    check_place(folder, [*data_set.images, *unwanted])
    out.mkdir(parents=True, exist_ok=True)
    busy = DataError(f"{folder}: is being prepared by another process", "Wait until it has ended")
    with locked(out / f".{folder.name}{LOCK_FILE}", busy):
        remove_temporary_files(folder)
        settings = _Settings(
            val_fraction, seed, mode, skip_bad, near_duplicates, pseudo_labels is not None
        )
        corrections_made = [each.correction for each in placed]
        return _prepare(data_set, unwanted, folder, settings, corrections_made, progress)


class _Settings(NamedTuple):
    """Arguments of prepare."""

    val_fraction: float
    seed: int
    mode: str
    skip_bad: bool
    near_duplicates: str
    with_pseudo_labels: bool


def _prepare(
    data_set: DataSet,
    unwanted: Sequence[LabelledImage],
    folder: Path,
    settings: _Settings,
    corrections: Sequence[Correction],
    progress: ProgressBar,
) -> Summary:
    """Check, split and place the images of a data set; ``folder`` is locked.

    ``unwanted`` images are compared with those that have pseudo-labels, and not placed.
    """
    task, images = data_set.task, data_set.images
    everything = [*images, *unwanted]
    compares = settings.near_duplicates != IGNORE
    with progress(f"{task.short_name}: checking images", len(everything)) as advance:
        checked = check_images(everything, advance, with_hashes=compares)
    rejected = [(image, c.damage) for image, c in zip(images, checked) if c.damage]
    _write_rejected(folder / REJECTED, rejected)
    if rejected and not settings.skip_bad:
        raise DataError(_describe_rejected(rejected, folder / REJECTED), "Give --skip-bad to go on")
    if len(rejected) == len(images):
        raise DataError(f"no image of {task.name} can be used; see {folder / REJECTED}")
    compared = compare(everything, checked, len(images), task, progress)
    groups = settings.near_duplicates == GROUP
    left_out = compared.left_out(with_alike=groups)
    stay = compared.stay(left_out)
    kept, contents = [*compress(compared.images, stay)], [*compress(compared.contents, stay)]
    pairs = None if compared.pairs is None else compared.pairs.among(stay)
    if pairs is not None and groups:
        kept = in_one_group(kept, pairs)
    bound = join_groups(contents, [image.group for image in kept])
    splits, unsplit_classes = _choose_splits(kept, bound, settings.val_fraction, settings.seed)
    planned = plan_folders(kept, splits)
    former, former_pseudo = _not_applied(folder, corrections), count_pseudo_labels(folder)
    ungrouped = not groups and were_grouped(folder / MANIFEST)
    with progress(f"{task.short_name}: writing folders", len(planned)) as advance:
        changes = write_folders(folder, task, planned, settings.mode, advance, corrections)
    return Summary(
        task=task,
        folder=folder,
        counts=Counter((item.image.class_index, item.split) for item in planned),
        rejected=rejected,
        duplicates=_count_duplicates(kept, contents),
        crossing_splits=len(set(zip(contents, splits))) - len(set(contents)),
        conflicts=conflicting_groups(kept, contents),
        unsplit_classes=unsplit_classes,
        changes=changes,
        notes=[*data_set.guesses, *data_set.notes],
        traits=_by_trait(images, checked),
        alike=None if pairs is None else count_alike(pairs, kept, contents, splits),
        ungrouped=ungrouped,
        corrections=Counter(each.action for each in corrections),
        former_corrections=former,
        pseudo_labels=compared.count(left_out, splits, former_pseudo),
        with_pseudo_labels=settings.with_pseudo_labels,
        grouped=groups,
    )


def _not_applied(folder: Path, corrections: Sequence[Correction]) -> int:
    """The number of images that an earlier prepare has corrected and that are not in these."""
    paths = {each.path for each in corrections}
    rows = readable_rows(folder / APPLIED_CORRECTIONS)[1:]
    return sum(path not in paths for path, *_ in rows)


def _choose_splits(
    images: Sequence[LabelledImage], contents: Sequence[str], val_fraction: float, seed: int
) -> tuple[list[str], list[int]]:
    """Return the split of each image, chosen where the data set gives none, and unsplit classes."""
    names = [image.split or "" for image in images]
    free = [position for position, name in enumerate(names) if not name]
    split = split_records(
        [images[position].class_index for position in free],
        [contents[position] for position in free],
        val_fraction,
        seed,
    )
    for position, name in zip(free, split.names):
        names[position] = name
    return names, split.unsplit_classes


def _by_trait(
    images: Sequence[LabelledImage], checked: Sequence[Checked]
) -> dict[Trait, list[LabelledImage]]:
    """Return the images of each trait, in the order of the traits and of the images."""
    found: dict[Trait, list[LabelledImage]] = defaultdict(list)
    for image, outcome in zip(images, checked):
        for trait in outcome.traits:
            found[trait].append(image)
    return {trait: found[trait] for trait in Trait if trait in found}


def _count_duplicates(images: Sequence[LabelledImage], contents: Sequence[str]) -> Counter[int]:
    """Count, by class index, the images whose content an earlier image has as well."""
    seen: set[str] = set()
    duplicates: Counter[int] = Counter()
    for image, content in zip(images, contents):
        if content in seen:
            duplicates[image.class_index] += 1
        seen.add(content)
    return duplicates


def _write_rejected(path: Path, rejected: Sequence[tuple[LabelledImage, str]]) -> None:
    if not rejected:
        path.unlink(missing_ok=True)
        return
    rows = ((image.source, image.label, image.where, reason) for image, reason in rejected)
    write_rows(path, [REJECTED_HEADER, *rows])


def _describe_rejected(rejected: Sequence[tuple[LabelledImage, str]], listing: Path) -> str:
    image, reason = rejected[0]
    more = f"; {len(rejected) - 1:,} more in {listing}" if len(rejected) > 1 else f"; see {listing}"
    return f"{image.where}: image {image.source} cannot be used: {reason}{more}"


def summary_table(summary: Summary) -> str:
    """Return a table of the images per class and split, and of rejected and duplicate images."""
    task, columns = summary.task, summary.columns
    width = max(text_width(name) for name in (*task.labels, task.name))
    lines = [left_aligned(task.name, width) + "".join(f"{name:>11}" for name in columns)]
    rows = list(zip(*columns.values()))
    totals = tuple(sum(column) for column in columns.values())
    for name, numbers in zip((*task.labels, "total"), (*rows, totals)):
        lines.append(left_aligned(name, width) + "".join(f"{number:>11,}" for number in numbers))
    return "\n".join(lines)


def summary_notes(summary: Summary) -> list[str]:
    """Return what the user should know beyond the table, one line per note."""
    notes = list(summary.notes)
    repeated = sum(summary.duplicates.values())
    if repeated:
        where = "all in the same split"
        if summary.crossing_splits:
            where = f"{summary.crossing_splits:,} of them in another split"
        notes.append(f"{_images(repeated)} with the same bytes as an earlier image, {where}")
    notes += notes_on_alike(summary.alike, summary.task, summary.folder.parent)
    if summary.ungrouped:
        notes.append("the split differs: the last time was with --near-duplicates group")
    notes += _notes_on_corrections(summary)
    given, grouped = summary.with_pseudo_labels, summary.grouped
    notes += notes_on_pseudo_labels(summary.pseudo_labels, given=given, with_alike=grouped)
    for trait, images in summary.traits.items():
        notes.append(f"{_images(len(images))} {trait.value}, for example {images[0].source}")
    for group in summary.conflicts:
        labels = ", ".join(f"{i.source} ({summary.task.labels[i.class_index]})" for i in group)
        notes.append(f"identical images with different classes: {labels}")
    if summary.conflicts:
        command = inspect_command(summary.task, summary.folder.parent)
        notes.append(f"to choose their classes: {command}")
    for index in summary.unsplit_classes:
        name = summary.task.classes[index]
        only_split = "train" if summary.counts[index, "train"] else "val"
        notes.append(f"class {name} cannot be split: all its images are in {only_split}")
    notes += _advice_on_classes(summary)
    if summary.rejected:
        rejected = _images(len(summary.rejected))
        notes.append(f"{rejected} rejected: {summary.folder / REJECTED}")
    notes.append(f"{summary.folder}: {_describe_changes(summary.changes)}")
    return notes


def _advice_on_classes(summary: Summary) -> list[str]:
    """Which classes have no or few training images, but for those that cannot be split."""
    counts = {
        name: summary.counts[index, "train"]
        for index, name in enumerate(summary.task.classes)
        if index not in summary.unsplit_classes
    }
    return advice_on_classes(list(counts), counts.values())


def _notes_on_corrections(summary: Summary) -> list[str]:
    notes = []
    if summary.corrections:
        changed = counted(summary.corrections[CORRECT], "label")
        dropped = _images(summary.corrections[DROP])
        notes.append(f"corrections: {changed} changed, {dropped} dropped")
        known = {index for index, _ in summary.counts}
        empty = [name for at, name in enumerate(summary.task.classes) if at not in known]
        notes += [f"corrections: no image of class {name} is left" for name in empty]
    if summary.former_corrections:
        former = counted(summary.former_corrections, "correction")
        why = "not in the file" if summary.corrections else "--corrections was not given"
        notes.append(f"{former} of the last time not applied: {why}")
    return notes


def _describe_changes(changes: FileChanges) -> str:
    written, removed = (counted(number, "file") for number in changes)
    parts = [f"{written} written"] if changes.written else []
    parts += [f"{removed} removed"] if changes.removed else []
    return ", ".join(parts) or "nothing to change"


def _images(count: int) -> str:
    return counted(count, "image")
