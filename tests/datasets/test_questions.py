"""Images to predict: folders, lists and tables of images, and question files of competitions."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import pytest

from fashionai.datasets.questions import list_images, names_to_predict, read_images_to_predict
from fashionai.errors import DataError, FashionAIError
from fashionai.families import find_task
from tests.support.images import encode


def write_images(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"not opened here")


def asked(path: Path, images: Path | None = None, column: str | None = None) -> list[str]:
    """The names of the rows, after looking at their files."""
    rows = read_images_to_predict(path, Path("nowhere"), column, images)
    assert all(row.path.is_file() for row in rows)
    assert all(row.task is None for row in rows)
    return [row.image for row in rows]


def test_a_folder_asks_for_all_images_below_it(tmp_path: Path) -> None:
    write_images(tmp_path, "b.PNG", "a/c.jpg", "a/d/e.webp", ".hidden/f.jpg", ".g.jpg", "notes.txt")
    assert asked(tmp_path) == ["a/c.jpg", "a/d/e.webp", "b.PNG"]
    assert list_images(tmp_path / "a") == ["c.jpg", "d/e.webp"]
    # Without a suffix it is its content that counts.
    (tmp_path / "a/1f3a").write_bytes(encode(0, np.random.default_rng(0), ".webp"))
    assert asked(tmp_path) == ["a/1f3a", "a/c.jpg", "a/d/e.webp", "b.PNG"]
    assert asked(tmp_path / "b.PNG") == ["b.PNG"]
    (tmp_path / "none").mkdir()
    with pytest.raises(FashionAIError, match="none: no images found"):
        read_images_to_predict(tmp_path / "none", tmp_path)


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("b.jpg\nsub/a.jpg\n", ["b.jpg", "sub/a.jpg"]),
        ("\ufeffb.jpg\r\n\r\nsub\\a.jpg\r\n", ["b.jpg", "sub\\a.jpg"]),
        ("path\nb.jpg\nsub/a.jpg\n", ["b.jpg", "sub/a.jpg"]),
        ("b\nsub/a\n", ["b", "sub/a"]),
        ("c,d.jpg\nb.jpg\n", ["c,d.jpg", "b.jpg"]),
        ("b.jpg,cat\nsub/a.jpg,\n", ["b.jpg", "sub/a.jpg"]),
        ("1;b.jpg\n2;sub/a.jpg\n", ["b.jpg", "sub/a.jpg"]),
        ("Image Name\tlabel\nb.jpg\tcat\nsub/a.jpg\tdog\n", ["b.jpg", "sub/a.jpg"]),
        ("class,file\ncat,b\ndog,sub/a\n", ["b", "sub/a"]),
        ('path,note\n"c,d.jpg","say ""cheese"""\n', ["c,d.jpg"]),
        ("./b.jpg\n", ["./b.jpg"]),
    ],
)
def test_a_list_or_table_asks_in_its_order(tmp_path: Path, text: str, names: list[str]) -> None:
    """Paths from the list's own folder, or from --images."""
    photos = tmp_path / "photos"
    write_images(photos, "b.jpg", "sub/a.jpg", "c,d.jpg")
    for place, images in ((photos, None), (photos, photos), (tmp_path, photos)):
        (place / "asked.csv").write_text(text, encoding="utf-8")
        assert asked(place / "asked.csv", images) == names


def test_the_column_of_paths_can_be_named(tmp_path: Path) -> None:
    write_images(tmp_path, "a.jpg", "b.jpg")
    (tmp_path / "t.csv").write_text("first,second\na.jpg,b.jpg\n")
    assert asked(tmp_path / "t.csv", column="second") == ["b.jpg"]
    (tmp_path / "t.csv").write_text("a.jpg,b.jpg\n")
    assert asked(tmp_path / "t.csv", column="2") == ["b.jpg"]
    assert asked(tmp_path / "t.csv") == ["a.jpg"]


@pytest.mark.parametrize(
    ("text", "column", "message"),
    [
        ("", None, "t.csv: no rows"),
        ("path\n", None, "t.csv: no rows below its header"),
        ("a.jpg\nb.jpg\n", None, "t.csv:2: image .*b.jpg does not exist"),
        ("b.jpg\nc.jpg\n", None, "t.csv:1: image .*b.jpg does not exist .and 1 more"),
        ("a.jpg\nA.JPG\n", None, "t.csv:2: image .*A.JPG does not exist. Did you mean 'a.jpg'"),
        ("a.jpg\na\n", None, "t.csv:2: a is listed twice, first at .*t.csv:1"),
        ("a.jpg\n../a.jpg\n", None, "t.csv:2: path '../a.jpg' leaves the data folder"),
        ("a.jpg\n/etc/x.jpg\n", None, "t.csv:2: path '/etc/x.jpg' leaves the data folder"),
        ("a.jpg,x\na.jpg\n", None, "t.csv:2: found 1 field, expected 2"),
        ("one,two\nx,y\n", None, "t.csv:1: cannot tell which column holds .*: 'one', 'two'. Name"),
        ("one,two\nx,y\n", "three", "--path-column: .*t.csv has no column 'three'"),
        ("one,two\nx,y\n", "3", "--path-column: found '3', .*t.csv has columns 1 to 2"),
    ],
)
def test_a_malformed_list_of_images_is_refused(
    tmp_path: Path, text: str, column: str | None, message: str
) -> None:
    write_images(tmp_path, "a.jpg")
    (tmp_path / "t.csv").write_text(text)
    with pytest.raises(FashionAIError, match=message):
        read_images_to_predict(tmp_path / "t.csv", tmp_path, column)


def test_the_images_of_cacti_are_those_of_their_own_file(tmp_path: Path) -> None:
    """In an archive as well: its members are read where they are."""
    (tmp_path / "sample_submission.csv").write_text("id,has_cactus\nb.jpg,0.5\na.jpg,0.5\n")
    with zipfile.ZipFile(tmp_path / "test.zip", "w") as archive:
        archive.writestr("test/a.jpg", b"A")
        archive.writestr("test/b.jpg", b"B")
    rows = read_images_to_predict(tmp_path / "sample_submission.csv", tmp_path)
    assert [(row.image, row.path.read_bytes()) for row in rows] == [
        ("b.jpg", b"B"),
        ("a.jpg", b"A"),
    ]


def test_fashionais_rows_name_their_task(tmp_path: Path) -> None:
    images = ["Images/pant_length_labels/a.jpg", "Images/skirt_length_labels/b.jpg"]
    write_images(tmp_path / "rank", *images)
    question = tmp_path / "rank/Tests/question.csv"
    question.parent.mkdir()
    question.write_text(f"{images[0]},pant_length_labels,\n{images[1]},skirt_length_labels,\n")
    rows = read_images_to_predict(question, tmp_path)
    assert [row.task for row in rows] == [find_task("pant"), find_task("skirt")]
    assert [row.image for row in rows] == images


@pytest.mark.parametrize("folder", ["Images", "Images/holiday", "Images/skirt_length_labels"])
@pytest.mark.parametrize("head", ["", "path\n"])
def test_a_list_of_images_in_a_folder_of_that_name(tmp_path: Path, folder: str, head: str) -> None:
    """FashionAI's rows have such paths too, but name a task or lie in the folder of one."""
    images = [f"{folder}/a.jpg", f"{folder}/b.jpg"]
    write_images(tmp_path, *images)
    (tmp_path / "list.txt").write_text(head + "\n".join(images))
    rows = read_images_to_predict(tmp_path / "list.txt", tmp_path)
    assert [(row.image, row.task) for row in rows] == [(image, None) for image in images]
    assert names_to_predict(tmp_path / "list.txt") == [(image, None) for image in images]


def test_a_table_of_images_in_a_folder_of_that_name(tmp_path: Path) -> None:
    write_images(tmp_path, "Images/a.jpg", "Images/b.jpg")
    (tmp_path / "t.csv").write_text("path,size\nImages/a.jpg,3\nImages/b.jpg,5\n")
    rows = read_images_to_predict(tmp_path / "t.csv", tmp_path)
    assert [row.image for row in rows] == ["Images/a.jpg", "Images/b.jpg"]


@pytest.mark.parametrize(
    "row",
    [
        "Images/skirt_length_labels/a.jpg;skirt_length_labels;",
        "Images/skirt_length_labels/a.jpg,skrit_length_labels,",
        "Images/a.jpg,skrit_length_labels,",
        "Images\\skirt_length_labels\\a.jpg,,",
    ],
)
def test_a_damaged_row_of_fashionai_is_no_other_list(tmp_path: Path, row: str) -> None:
    (tmp_path / "q.csv").write_text(f"{row}\n")
    write_images(tmp_path, "Images/a.jpg", "Images/skirt_length_labels/a.jpg")
    with pytest.raises(DataError, match=r"expected image,task,label|unknown task"):
        read_images_to_predict(tmp_path / "q.csv", tmp_path)
