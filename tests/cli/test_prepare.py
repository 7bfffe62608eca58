"""fashionai prepare over every shape of data: what lies in the folders, counted from the input."""

from __future__ import annotations

import csv
import json
from collections import Counter
from pathlib import Path

import pytest

from fashionai.cli import main
from tests.support.commands import fashionai
from tests.support.data_trees import (
    put,
    write_cactus,
    write_class_folders,
    write_covers,
    write_logos,
    write_table,
)

OUT = Path("data/train_valid")
Counts = dict[tuple[str, str], int]


@pytest.fixture(autouse=True)
def inside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A user's folder of its own, in which nothing is prepared."""
    monkeypatch.chdir(tmp_path)


def prepare(task: str, *arguments: object) -> Counts:
    """Run prepare; the number of images by split and class folder, empty folders included."""
    main(["prepare", "--task", task, *map(str, arguments)])
    counts = {
        (folder.parent.name, folder.name): len(list(folder.iterdir()))
        for folder in sorted((OUT / task).glob("*/*"))
    }
    with open(OUT / task / "manifest.csv", newline="") as handle:
        rows = list(csv.DictReader(handle))
    listed = Counter((row["split"], row["class_name"]) for row in rows)
    # 3_name: the class is behind the index, with blanks as hyphens.
    found = {(s, f.partition("_")[2]): n for (s, f), n in counts.items() if n}
    assert {(s, c.replace(" ", "-")): n for (s, c), n in listed.items()} == found
    return counts


def split_counts(**by_split: dict[str, int]) -> Counts:
    return {(split, name): n for split, counts in by_split.items() for name, n in counts.items()}


def test_a_table(capsys: pytest.CaptureFixture[str]) -> None:
    write_table(Path("own"), per_class=8)
    found = prepare("pets", "--csv", "own/labels.csv", "--images", "own/images")
    assert found == split_counts(
        train={"0_cat": 7, "1_dog": 7, "2_owl": 7}, val={"0_cat": 1, "1_dog": 1, "2_owl": 1}
    )
    assert json.loads((OUT / "pets/task.json").read_text()) == {
        "task": "pets",
        "aliases": [],
        "family": "table",
        "classes": ["cat", "dog", "owl"],
    }
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["pets", "train", "val", "rejected", "duplicates"]
    assert lines[4].split() == ["total", "21", "3", "0", "0"]
    assert lines[-2:] == ["data/train_valid/pets: 24 files written", "Next: fashionai init pets"]
    put(Path("configs/pets.yaml"))
    assert prepare("pets", "--csv", "own/labels.csv", "--images", "own/images") == found
    train = "Next: fashionai train --config configs/pets.yaml"
    assert capsys.readouterr().out.splitlines()[-1] == train


def test_a_table_beside_its_images(capsys: pytest.CaptureFixture[str]) -> None:
    """The folder of the table is that of the images, which is told."""
    write_table(Path("own"), per_class=4)
    Path("own/labels.csv").rename("own/images/labels.csv")
    assert prepare("pets", "--csv", "own/images/labels.csv")
    told = "own/images/labels.csv: paths are relative to its folder; --images names another one\n"
    assert told in capsys.readouterr().out


def rewritten(file: Path, header: str, *columns: list[str]) -> list[list[str]]:
    """Write the table with label before path, semicolons, and further columns; gives its rows."""
    pairs = [line.split(",") for line in file.read_text().splitlines()[1:]]
    rows = [[label, path, *more] for (path, label), *more in zip(pairs, *columns)]
    lines = [header] * bool(header) + [";".join(row) for row in rows]
    file.write_text("\n".join(lines) + "\n")
    return rows


@pytest.mark.parametrize(
    ("header", "path", "label"), [("kind;picture", "picture", "kind"), ("", "2", "1")]
)
def test_a_table_of_other_columns_and_a_given_order(header: str, path: str, label: str) -> None:
    write_table(Path("own"), per_class=4)
    rewritten(Path("own/labels.csv"), header)
    columns = ["--path-column", path, "--label-column", label]
    options = ["--classes", "owl, cat, dog", "--val-fraction", "0.5"]
    found = prepare("pets", "--csv", "own/labels.csv", "--images", "own/images", *columns, *options)
    half = {"0_owl": 2, "1_cat": 2, "2_dog": 2}
    assert found == split_counts(train=half, val=half)


def test_a_table_with_splits_and_groups() -> None:
    write_table(Path("own"), per_class=8)
    # Two images of each class in six rows.
    parts = [("train", "train", "valid", "testing")[row // 6] for row in range(24)]
    nests = [f"nest {row // 3}" for row in range(24)]
    rows = rewritten(Path("own/labels.csv"), "kind;picture;part;nest", parts, nests)
    columns = ["--path-column", "picture", "--label-column", "kind", "--split-column", "part"]
    options = [*columns, "--group-column", "nest"]
    found = prepare("pets", "--csv", "own/labels.csv", "--images", "own/images", *options)
    two = {"0_cat": 2, "1_dog": 2, "2_owl": 2}
    assert found == split_counts(train=dict.fromkeys(two, 4), val=two, test=two)
    with open(OUT / "pets/manifest.csv", newline="") as handle:
        groups = {row["source"]: row["group"] for row in csv.DictReader(handle)}
    assert groups == {row[1]: row[3] for row in rows}


def test_class_folders() -> None:
    write_class_folders(Path("own"))
    found = prepare("pets", "--folders", "own", "--val-fraction", "0.25", "--mode", "copy")
    assert found == split_counts(
        train={"0_cat": 6, "1_dog": 6, "2_owl": 6}, val={"0_cat": 2, "1_dog": 2, "2_owl": 2}
    )


def test_class_folders_of_splits() -> None:
    write_class_folders(Path("own"), {"train": 4, "valid": 2, "test": 3})
    found = prepare("pets", "--folders", "own", "--classes", "dog,owl,cat")
    names = ("0_dog", "1_owl", "2_cat")
    assert found == split_counts(
        train=dict.fromkeys(names, 4), val=dict.fromkeys(names, 2), test=dict.fromkeys(names, 3)
    )


@pytest.mark.parametrize(("share", "train", "val"), [([], 3, 3), (["--no-logo-share", "0"], 0, 6)])
def test_logos(share: list[str], train: int, val: int) -> None:
    """Half of the images without a logo are for training, or none."""
    counts = {"trainset": 2, "valset-logosonly": 3, "testset": 1}
    write_logos(Path("logos"), counts, {"valset-nologos": 6, "testset": 4}, ["aldi", "HP"])
    found = prepare("logos", "--data", "logos", *share)
    assert len(found) == 3 * 33
    assert {place: n for place, n in found.items() if n} == split_counts(
        train={"01_aldi": 2, "19_HP": 2, **({"32_no-logo": train} if train else {})},
        val={"01_aldi": 3, "19_HP": 3, "32_no-logo": val},
        test={"01_aldi": 1, "19_HP": 1, "32_no-logo": 4},
    )


@pytest.mark.parametrize("place", ["{part}", "{part}/{part}", "{part}.zip/{part}"])
def test_cacti_from_folders_and_archives(place: str) -> None:
    write_cactus(Path("cacti"), train=20, place=place)
    found = prepare("cactus", "--data", "cacti", "--val-fraction", "0.2")
    # Every fourth image is without a cactus.
    assert found == split_counts(
        train={"0_no-cactus": 4, "1_cactus": 12}, val={"0_no-cactus": 1, "1_cactus": 3}
    )
    assert prepare("cactus", "--data", "cacti", "--val-fraction", "0.2") == found


@pytest.mark.parametrize(("options", "val"), [([], (1, 2)), (["--val-fraction", "0.1"], (5, 15))])
def test_a_hundredth_of_the_cacti_is_for_validation_by_default(options, val) -> None:
    """Of every class at least one; elsewhere it is a tenth."""
    write_cactus(Path("cacti"), train=200, place="{part}.zip")
    assert prepare("cactus", "--data", "cacti", *options) == split_counts(
        train={"0_no-cactus": 50 - val[0], "1_cactus": 150 - val[1]},
        val={"0_no-cactus": val[0], "1_cactus": val[1]},
    )


def test_preparing_an_archive_again_changes_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    write_cactus(Path("cacti"), place="{part}.zip")
    prepare("cactus", "--data", "cacti")
    capsys.readouterr()
    prepare("cactus", "--data", "cacti")
    assert "data/train_valid/cactus: nothing to change" in capsys.readouterr().out


def test_covers() -> None:
    write_covers(Path("covers"), per_class=10)
    found = prepare("covers", "--data", "covers")
    assert found == split_counts(
        train={"0_not-cat": 9, "1_cat": 9}, val={"0_not-cat": 1, "1_cat": 1}
    )


@pytest.mark.parametrize(
    "arguments",
    ["--folders .", "--folders ./data/../data", "--folders data/train_valid/pets", "--out src/x"],
)
def test_class_folders_do_not_hold_what_is_made_from_them(
    arguments: str, capsys: pytest.CaptureFixture[str]
) -> None:
    write_class_folders(Path("src"), {"": 4})
    Path("data").mkdir(exist_ok=True)
    given = ["--folders", "src", *arguments.split()]
    assert fashionai("prepare", "--task", "pets", *given) == 2
    assert ", the folder of --folders. Name a folder outside of it" in capsys.readouterr().err
    assert not list(Path().rglob("pets"))


def test_options_without_effect_are_told(capsys: pytest.CaptureFixture[str]) -> None:
    write_class_folders(Path("src"), {"train": 2, "val": 1})
    for options, note in [
        (["--val-fraction", 0.5], "the validation fraction is not used"),
        (["--val-fraction", 0.5, "--seed", 7], "the validation fraction and the seed are not used"),
    ]:
        prepare("pets", "--folders", "src", *options)
        assert f"{note}: the data set gives the splits\n" in capsys.readouterr().out
    prepare("pets", "--folders", "src")
    assert "not used" not in capsys.readouterr().out
    assert fashionai("prepare", "--task", "pets", "--folders", "src", "--data", "data") == 2
    assert "Error: --data goes without --csv and --folders" in capsys.readouterr().err
