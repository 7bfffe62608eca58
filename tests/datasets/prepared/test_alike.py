"""prepare: near-duplicates are counted or kept in one split, and corrections are recorded."""

from __future__ import annotations

import csv
from pathlib import Path

import cv2
import numpy as np
import pytest

from fashionai.datasets.prepared.alike import Alike, notes_on_alike
from fashionai.datasets.prepared.prepare import Summary, prepare, summary_notes
from fashionai.datasets.reading import read_own_folders, read_own_table
from fashionai.errors import DataError
from fashionai.files.formats.csv_files import write_rows
from fashionai.progress import no_bar
from fashionai.tasks import Task
from tests.support.data_trees import put

HEADER = "path,action,old_label,new_label,reason,date\n"


def picture(number: int) -> np.ndarray:
    coarse = np.random.default_rng(number).integers(0, 256, (7, 7, 3), np.uint8)
    return cv2.resize(coarse, (48, 48), interpolation=cv2.INTER_CUBIC)


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """20 pictures of two classes; 6 of class a have a mirrored or smaller copy, one in class b."""
    folder = tmp_path_factory.mktemp("photos")
    for number in range(20):
        pixels = picture(number)
        save(folder / "ab"[number % 2] / f"{number:02d}.png", pixels)
        if number < 12 and number % 2 == 0:
            copy = pixels[:, ::-1] if number < 6 else cv2.resize(pixels, (40, 40))
            save(folder / ("b" if number == 10 else "a") / f"{number:02d}-copy.png", copy)
    return folder


def save(path: Path, pixels: np.ndarray) -> None:
    put(path, cv2.imencode(".png", np.ascontiguousarray(pixels))[1].tobytes())


def prepared(photos: Path, out: Path, **options: object) -> tuple[Summary, dict[str, str]]:
    """What prepare did with half of the images for validation, and the split of each source."""
    data_set = read_own_folders("birds", photos, ())
    summary = prepare(data_set, out, val_fraction=0.5, progress=no_bar, **options)
    with open(out / "birds/manifest.csv", newline="") as handle:
        return summary, {row["source"]: row["split"] for row in csv.DictReader(handle)}


def copies(splits: dict[str, str]) -> list[tuple[str, str]]:
    """The splits of each picture and its copy."""
    number = {Path(source).stem: split for source, split in splits.items()}
    return [(number[name.removesuffix("-copy")], number[name]) for name in number if "-" in name]


def test_near_duplicates_are_reported_and_change_nothing(photos: Path, tmp_path: Path) -> None:
    summary, splits = prepared(photos, tmp_path / "report")
    crossing = sum(one != other for one, other in copies(splits))
    assert crossing > 0
    assert summary.alike == (6, crossing, 1, False)
    counts = f"{crossing} in another split, 1 with another class"
    assert summary_notes(summary)[:3] == [
        f"6 near-duplicates of an earlier image: {counts}",
        f"To list them: fashionai inspect --task birds --folder {tmp_path / 'report'}",
        "To keep them in one split: prepare with --near-duplicates group",
    ]
    ignoring, _ = prepared(photos, tmp_path / "ignore", near_duplicates="ignore")
    assert ignoring.alike is None
    manifests = [tmp_path / name / "birds/manifest.csv" for name in ("report", "ignore")]
    assert manifests[0].read_bytes() == manifests[1].read_bytes()


def test_group_keeps_near_duplicates_in_one_split(photos: Path, tmp_path: Path) -> None:
    summary, splits = prepared(photos, tmp_path, near_duplicates="group")
    assert all(one == other for one, other in copies(splits))
    assert set(splits.values()) == {"train", "val"}
    assert summary.alike == (6, 0, 1, False)
    assert "--near-duplicates" not in "".join(summary_notes(summary))
    manifest = tmp_path / "birds/manifest.csv"
    before = manifest.read_bytes()
    with open(manifest, newline="") as handle:
        groups = {row["source"]: row["group"] for row in csv.DictReader(handle)}
    assert groups["a/00.png"] == groups["a/00-copy.png"] == "like a/00-copy.png"
    assert groups["b/01.png"] == ""
    again, _ = prepared(photos, tmp_path, near_duplicates="group")
    assert again.changed == 0
    assert manifest.read_bytes() == before
    assert not again.ungrouped
    ungrouped, _ = prepared(photos, tmp_path)
    note = "the split differs: the last time was with --near-duplicates group"
    assert note in summary_notes(ungrouped)
    assert note not in summary_notes(prepared(photos, tmp_path)[0])


def test_group_joins_the_groups_of_the_data_set(photos: Path, tmp_path: Path) -> None:
    """Photographs of one bird stay together, and with copies of any of them."""
    files = sorted(path.relative_to(photos).as_posix() for path in photos.rglob("*.png"))
    group = {"a/00.png": "bird 1", "a/02.png": "bird 1", "a/02-copy.png": "bird 2",
             "a/08.png": "bird 2"}  # fmt: skip
    rows = [(file, file[0], group.get(file, "")) for file in files]
    write_rows(tmp_path / "l.csv", [("path", "label", "group"), *rows])
    data_set = read_own_table("birds", tmp_path / "l.csv", photos, (), group_column="group")
    for seed in range(3):
        prepare(
            data_set,
            tmp_path / "out",
            val_fraction=0.5,
            seed=seed,
            near_duplicates="group",
            progress=no_bar,
        )
        with open(tmp_path / "out/birds/manifest.csv", newline="") as handle:
            placed = {row["source"]: row["split"] for row in csv.DictReader(handle)}
        connected = (*group, "a/00-copy.png", "a/08-copy.png")
        assert len({placed[source] for source in connected}) == 1


def test_corrections_that_empty_a_class_are_told_and_those_that_drop_all_refused(
    photos: Path, tmp_path: Path
) -> None:
    sources = sorted(str(file.relative_to(photos)) for file in photos.glob("*/*.png"))
    dropped = {name: f"{name},drop,{name[0]},,,2030-01-02\n" for name in sources}
    of_b = put(tmp_path / "b.csv", HEADER + "".join(dropped[n] for n in sources if n[0] == "b"))
    summary, splits = prepared(photos, tmp_path, corrections=of_b)
    assert "corrections: no image of class b is left" in summary_notes(summary)
    assert {source[0] for source in splits} == {"a"}
    every = put(tmp_path / "all.csv", HEADER + "".join(dropped.values()))
    with pytest.raises(DataError, match=r"all\.csv: drops all 26 images of birds"):
        prepared(photos, tmp_path, corrections=every)


def test_applied_corrections_are_kept_with_the_manifest(photos: Path, tmp_path: Path) -> None:
    corrections = put(
        tmp_path / "c.csv",
        f"{HEADER}b/10-copy.png,correct,b,a,,2030-01-02\nb/01.png,drop,b,,,2030-01-02\n",
    )
    summary, splits = prepared(photos, tmp_path, corrections=corrections)
    assert "corrections: 1 label changed, 1 image dropped" in summary_notes(summary)
    assert "b/01.png" not in splits
    assert len(list((tmp_path / "birds").glob("*/0_a/10-copy.png"))) == 1
    kept = tmp_path / "birds/applied_corrections.csv"
    assert kept.read_bytes() == corrections.read_bytes()
    # The record itself can be given again.
    again, same = prepared(photos, tmp_path, corrections=kept)
    assert (again.changed, same) == (0, splits)

    other = put(tmp_path / "d.csv", f"{HEADER}b/01.png,drop,b,,,2030-01-03\n")
    fewer, _ = prepared(photos, tmp_path, corrections=other)
    assert "1 correction of the last time not applied: not in the file" in summary_notes(fewer)
    prepared(photos, tmp_path, corrections=corrections)

    without, all_splits = prepared(photos, tmp_path)
    assert "2 corrections of the last time not applied: --corrections was not given" in (
        summary_notes(without)
    )
    assert not kept.exists()
    assert "b/01.png" in all_splits


def test_prescribed_splits_are_to_be_changed_where_they_are_prescribed(tmp_path: Path) -> None:
    *_, advice = notes_on_alike(
        Alike(2, 1, 0, True), Task("birds", (), ("a", "b"), "table"), tmp_path
    )
    assert advice == "To keep them in one split: change some of the splits that the data set gives"
