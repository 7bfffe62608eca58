"""Pseudo-labels: what a file may hold, and what prepare does with it."""

from __future__ import annotations

import csv
from pathlib import Path

import cv2
import numpy as np
import pytest

from fashionai.datasets.prepared.folders import read_split
from fashionai.datasets.prepared.folds import write_folds
from fashionai.datasets.prepared.prepare import Summary, prepare, summary_notes
from fashionai.datasets.prepared.pseudo import PseudoLabels
from fashionai.datasets.prepared.samples import read_samples
from fashionai.datasets.pseudo_labels import (
    PseudoLabel,
    read_pseudo_labels,
    write_pseudo_labels,
)
from fashionai.datasets.reading import read_own_folders
from fashionai.errors import DataError
from fashionai.families import find_task
from fashionai.progress import no_bar
from fashionai.tasks import Task
from tests.support.data_trees import put
from tests.support.learners import make_config

TASK = Task("birds", (), ("owl", "tit", "wren"), "table")
HEADER = "path,label,probability\n"


def picture(number: int) -> np.ndarray:
    coarse = np.random.default_rng(number).integers(0, 256, (7, 7, 3), np.uint8)
    return cv2.resize(coarse, (48, 48), interpolation=cv2.INTER_CUBIC)


def save(path: Path, pixels: np.ndarray) -> Path:
    return put(path, cv2.imencode(".png", np.ascontiguousarray(pixels))[1].tobytes())


@pytest.fixture
def photos(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """20 labelled pictures of two classes, and pseudo.csv: one is labelled, one looks like one."""
    monkeypatch.chdir(tmp_path)
    for number in range(20):
        save(Path("photos") / "ab"[number % 2] / f"{number:02d}.png", picture(number))
    labels = [
        PseudoLabel(save(Path("more/new.png"), picture(50)), "b", 0.97),
        PseudoLabel(save(Path("more/copy.png"), picture(3)), "a", 0.99),
        PseudoLabel(save(Path("more/mirrored.png"), picture(4)[:, ::-1]), "a", 0.98),
        PseudoLabel(save(Path("more/00.png"), picture(51)), "a", 0.96),
    ]
    write_pseudo_labels(Path("more/pseudo.csv"), labels)
    return tmp_path


def prepared(pseudo: bool = True, **options: object) -> Summary:
    data_set = read_own_folders("birds", Path("photos"), ())
    file = Path("more/pseudo.csv") if pseudo else None
    return prepare(
        data_set, Path("out"), val_fraction=0.3, pseudo_labels=file, progress=no_bar, **options
    )


def manifest() -> list[dict[str, str]]:
    with open("out/birds/manifest.csv", newline="") as handle:
        return list(csv.DictReader(handle))


NEW = {"new.png", "mirrored.png", "00-2.png"}


@pytest.mark.parametrize("near_duplicates", ["report", "group"])
def test_they_are_added_to_train_and_removed_again(photos: Path, near_duplicates: str) -> None:
    prepared(pseudo=False, near_duplicates=near_duplicates)
    before = Path("out/birds/manifest.csv").read_bytes()
    plain = manifest()
    summary = prepared(near_duplicates=near_duplicates)
    rows = manifest()
    column = rows[0].keys() - plain[0].keys()
    assert column == {"pseudo_label"}
    added = [row for row in rows if row["pseudo_label"]]
    expected = [("b", "new.png", 0.97), ("a", "mirrored.png", 0.98), ("a", "00.png", 0.96)]
    if near_duplicates == "group":
        del expected[1]
    assert [
        (row["split"], row["class_name"], row["source"], float(row["pseudo_label"]))
        for row in added
    ] == [("train", label, f"pseudo-labels/{name}", share) for label, name, share in expected]
    others = [{k: v for k, v in row.items() if k != "pseudo_label"} for row in rows]
    assert others[: len(plain)] == plain
    notes = summary_notes(summary)
    assert f"pseudo-labels: {len(expected)} images added to train" in notes
    left_out = "1 pseudo-label left out: labelled already"
    if near_duplicates == "group":
        left_out = (
            "2 pseudo-labels left out: labelled already, or near-duplicates of labelled images"
        )
    assert left_out in notes
    again = prepared(pseudo=False, near_duplicates=near_duplicates)
    assert Path("out/birds/manifest.csv").read_bytes() == before
    removed = (
        f"{len(expected)} pseudo-labels of the last time removed: --pseudo-labels was not given"
    )
    assert removed in summary_notes(again)
    assert sorted(path.name for path in Path("out/birds").rglob("*.png")) == sorted(
        row["file"] for row in plain
    )


def test_those_that_a_file_no_longer_has_are_told_as_removed(photos: Path) -> None:
    prepared()
    write_pseudo_labels(Path("more/pseudo.csv"), [PseudoLabel(Path("photos/a/00.png"), "a", 0.96)])
    summary = prepared()
    assert summary.pseudo_labels == PseudoLabels(labelled=1, former=3)
    assert "3 pseudo-labels of the last time removed" in summary_notes(summary)


def test_every_copy_of_a_labelled_image_is_left_out(photos: Path) -> None:
    """Two brighter copies, of other bytes and the same pixels."""
    brighter = cv2.convertScaleAbs(picture(5), alpha=1.1)
    save(Path("more/one.png"), brighter)
    png = cv2.imencode(".png", brighter, [cv2.IMWRITE_PNG_COMPRESSION, 0])[1].tobytes()
    put(Path("more/two.png"), png)
    write_pseudo_labels(
        Path("more/pseudo.csv"),
        [PseudoLabel(Path("more") / name, "a", 0.9) for name in ("one.png", "two.png", "new.png")],
    )
    summary = prepared(near_duplicates="group")
    assert [row["source"] for row in manifest() if row["pseudo_label"]] == ["pseudo-labels/new.png"]
    assert summary.pseudo_labels.labelled == 2


def test_an_image_that_corrections_drop_stays_out(photos: Path) -> None:
    put(
        Path("corrections.csv"),
        "path,action,old_label,new_label,reason,date\n"
        "b/03.png,drop,b,,,2030-01-02\na/06.png,drop,a,,,2030-01-02\n",
    )
    summary = prepared(corrections=Path("corrections.csv"))
    assert {Path(row["source"]).name for row in manifest() if row["pseudo_label"]} == {
        *("new.png", "mirrored.png", "00.png")
    }
    told = "1 pseudo-label left out: the corrections drop the image"
    assert told in summary_notes(summary)


DROP_04 = "path,action,old_label,new_label,reason,date\na/04.png,drop,a,,,2030-01-02\n"


def test_an_image_that_looks_like_a_dropped_one_stays_out_of_groups(photos: Path) -> None:
    """mirrored.png has the pixels of 04.png, mirrored."""
    put(Path("corrections.csv"), DROP_04)
    plain = prepared(pseudo=False, corrections=Path("corrections.csv"), near_duplicates="group")
    labelled = [{**row, "pseudo_label": ""} for row in manifest()]
    assert plain.pseudo_labels == PseudoLabels()
    summary = prepared(corrections=Path("corrections.csv"), near_duplicates="group")
    names = {Path(row["source"]).name for row in manifest() if row["pseudo_label"]}
    assert names == {"new.png", "00.png"}
    assert [row for row in manifest() if not row["pseudo_label"]] == labelled
    assert summary.pseudo_labels == PseudoLabels(added=2, labelled=1, dropped=1)
    told = "1 pseudo-label left out: the corrections drop the image, or one that looks like it"
    assert told in summary_notes(summary)


def test_an_image_that_looks_like_a_dropped_one_is_told(photos: Path) -> None:
    put(Path("corrections.csv"), DROP_04)
    summary = prepared(corrections=Path("corrections.csv"))
    assert summary.pseudo_labels == PseudoLabels(added=3, labelled=1, alike=1)
    notes = summary_notes(summary)
    at = notes.index("pseudo-labels added: 1 near-duplicate of labelled or dropped images")
    assert notes[at + 1 : at + 3] == [
        "pseudo-labels added that look like images in val or test: 0",
        "To leave them out: prepare with --near-duplicates group",
    ]
    ignored = prepared(corrections=Path("corrections.csv"), near_duplicates="ignore")
    assert ignored.pseudo_labels == PseudoLabels(added=3, labelled=1, former=3)


@pytest.mark.parametrize("near_duplicates", ["report", "group"])
def test_images_that_look_like_held_out_ones_are_told_or_left_out(
    photos: Path, near_duplicates: str
) -> None:
    """A darker copy of each labelled image."""
    labels = []
    for file in sorted(Path("photos").rglob("*.png")):
        darker = cv2.convertScaleAbs(cv2.imread(str(file)), alpha=0.9)
        labels.append(PseudoLabel(save(Path("more") / file.name, darker), "a", 0.9))
    write_pseudo_labels(Path("more/pseudo.csv"), labels)
    counts = prepared(near_duplicates=near_duplicates).pseudo_labels
    held_out = sum(row["split"] == "val" for row in manifest())
    added = sum(bool(row.get("pseudo_label")) for row in manifest())
    assert held_out == 6
    if near_duplicates == "group":
        assert (added, counts) == (0, PseudoLabels(labelled=20))
    else:
        assert (added, counts) == (20, PseudoLabels(added=20, alike=20, held_out=held_out))


def test_only_training_reads_them(photos: Path) -> None:
    prepared()
    folder = Path("out/birds")
    names = {path.name for path in read_split(folder, "train", "val").paths}
    everything = read_split(folder, "train", "val", pseudo=True)
    new = {path.name for path in everything.paths} - names
    assert new == NEW
    assert {path.name for path, p in zip(everything.paths, everything.pseudo) if p} == new


def test_folds_hold_none_and_each_trains_on_all(photos: Path) -> None:
    prepared()
    split = read_split(Path("out/birds"), "train", "val")
    folds = np.arange(len(split.paths)) % 2 + 1
    write_folds(Path("folds.csv"), [split], folds)
    for fold in (1, 2):
        config = make_config(Path(), "task=birds", "data.folder=out", "data.folds_file=folds.csv",
                             f"data.fold={fold}")  # fmt: skip
        val = {path.name for path in read_samples(config, "val").paths}
        samples = read_samples(config, "train", pseudo=True)
        assert {samples.paths[row].name for row in samples.pseudo} == NEW
        train = {path.name for path in samples.paths}
        assert val == {path.name for path, own in zip(split.paths, folds) if own == fold}
        assert train == {path.name for path in split.paths} - val | NEW
        labelled = {path.name for path in read_samples(config, "train").paths}
        assert train - labelled == NEW


def test_a_label_with_marks_has_y_for_the_class(tmp_path: Path) -> None:
    task = find_task("skirt")
    save(tmp_path / "a.png", picture(0))
    put(tmp_path / "p.csv", f"{HEADER}a.png,{task.classes[2]},0.96\n")
    (image,) = read_pseudo_labels(tmp_path / "p.csv", task)
    assert (image.label, image.class_index, image.split) == ("nnynnn", 2, "train")


def test_a_file_may_have_a_backslash_in_its_name(tmp_path: Path) -> None:
    save(tmp_path / "c\\a.png", picture(0))
    put(tmp_path / "p.csv", f"{HEADER}c\\a.png,owl,0.96\n")
    (image,) = read_pseudo_labels(tmp_path / "p.csv", TASK)
    assert image.path == tmp_path / "c\\a.png"


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("a.png,wern,0.9", "p.csv:2: label is 'wern', which is no class of birds. "
         "Did you mean 'wren'?"),
        ("a.png,owl,1.5", "p.csv:2: probability is '1.5', expected a number from 0 to 1"),
        ("a.png,owl,nan", "p.csv:2: probability is 'nan', expected a number from 0 to 1"),
        ("a.png,owl", "p.csv:2: found 'a.png,owl', expected path,label,probability"),
        ("b.png,owl,0.9", "p.csv:2: image b.png does not exist"),
        ("a.png,owl,0.9\na.png,tit,0.9", "p.csv:3: a.png is listed twice, first at p.csv:2"),
        (".\\c\\..\\a.png,owl,0.9\n./a.png,tit,0.9",
         "p.csv:3: ./a.png is listed twice, first at p.csv:2"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused(
    row: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    save(Path("a.png"), picture(0))
    put(Path("p.csv"), f"{HEADER}{row}\n")
    with pytest.raises(DataError) as refused:
        read_pseudo_labels(Path("p.csv"), TASK)
    assert str(refused.value) == message
