"""Text in the encodings that spreadsheets and editors write."""

from __future__ import annotations

from pathlib import Path

import pytest

from fashionai.errors import DataError
from fashionai.files.formats.csv_files import read_csv_rows
from fashionai.files.formats.text_files import read_text

CHINESE = "图片,类别\n1.jpg,短裙\n2.jpg,长裙\n"


def write(folder: Path, data: bytes) -> Path:
    path = folder / "t.csv"
    path.write_bytes(data)
    return path


@pytest.mark.parametrize(
    ("codec", "name"),
    [
        ("utf-8", "UTF-8"),
        ("utf-8-sig", "UTF-8"),
        ("gbk", "GB18030"),
        ("gb18030", "GB18030"),
        ("utf-16", "UTF-16"),
    ],
)
def test_the_encoding_is_recognized_and_logged(tmp_path: Path, codec: str, name: str) -> None:
    path = write(tmp_path, CHINESE.encode(codec))
    found = read_text(path, "rows")
    assert found.text == CHINESE
    assert found.encoding == name
    assert found.note(path) == ([] if name == "UTF-8" else [f"{path}: read as {name}, not UTF-8"])


def test_the_word_for_skirt_alone_is_not_taken_for_a_rare_letter(tmp_path: Path) -> None:
    """Its bytes in GB18030 are also a letter in UTF-8."""
    path = write(tmp_path, "1.jpg,裙\n2.jpg,裙裙\n".encode("gbk"))
    assert read_text(path, "rows").text == "1.jpg,裙\n2.jpg,裙裙\n"
    for text in ("1.jpg,été\n", "1.jpg,hươu\n", "1.jpg,oraș\n", "1.jpg,ночь\n"):
        path.write_text(text, encoding="utf-8")
        assert read_text(path, "rows") == (text, "UTF-8")


@pytest.mark.parametrize("label", ["A领", "V领", "A型", "a类", "a红", "b电", "领a", "T恤", "a2红b"])
def test_single_chinese_characters_beside_letters_are_chinese(tmp_path: Path, label: str) -> None:
    text = f"path,label\n1.jpg,{label}\n2.jpg,x\n"
    assert read_text(write(tmp_path, text.encode("gbk")), "rows") == (text, "GB18030")


@pytest.mark.parametrize("codec", ["utf-16-le", "utf-16-be"])
def test_utf_16_without_a_mark_is_known_by_its_zeros(tmp_path: Path, codec: str) -> None:
    path = write(tmp_path, "path,label\na.jpg,x\n".encode(codec))
    assert read_text(path, "rows").text == "path,label\na.jpg,x\n"


@pytest.mark.parametrize(
    ("text", "codec", "name"),
    [
        ("a.jpg,München\nb.jpg,Düsseldorf\n", "cp1252", "Windows-1252"),
        ("a.jpg,garçon\nb.jpg,été\n", "latin-1", "Windows-1252"),
        # Two accented letters have the bytes of a common Chinese character.
        ("a.jpg,Größe\nb.jpg,size\n", "cp1252", "Windows-1252"),
        ("a.jpg,créée\nb.jpg,agréé\nc.jpg,één\n", "cp1252", "Windows-1252"),
        ("a.jpg,ESTAÇÃO\nb.jpg,SITUAÇÕES\n", "cp1252", "Windows-1252"),
        ("a.jpg,CRÉÉE\nb.jpg,KLEIDERGRÖßE\nc.jpg,GrößeXL\n", "cp1252", "Windows-1252"),
        ("a.jpg,スカート\nb.jpg,ねこ\n", "shift_jis", "Shift JIS"),
    ],
)
def test_other_encodings_are_named_and_not_taken_for_chinese(
    tmp_path: Path, text: str, codec: str, name: str
) -> None:
    path = write(tmp_path, text.encode(codec))
    with pytest.raises(DataError) as caught:
        read_text(path, "rows")
    assert str(caught.value) == (
        f"{path}: not UTF-8 text, expected rows. It looks like {name}: save it as UTF-8"
    )


def test_rows_of_empty_fields_are_blank(tmp_path: Path) -> None:
    path = write(tmp_path, b"a,b\n,,\n c ,d\n, ,\n\n")
    assert [fields for fields, _ in read_csv_rows(path)] == [["a", "b"], ["c", "d"]]


def test_a_quote_that_is_never_closed_is_named_by_its_line(tmp_path: Path) -> None:
    rows = "".join(f"{number}.jpg,cat\n" for number in range(1000))
    path = write(tmp_path, f'a.jpg,cat\nb.jpg,"cat\n{rows}'.encode())
    with pytest.raises(DataError) as caught:
        list(read_csv_rows(path))
    assert str(caught.value) == (
        f"{path}:2: not valid CSV: the quote that opens here is never closed"
    )
    write(tmp_path, b'a.jpg,"two\nlines"\nb.jpg,"x"')
    assert [fields[1] for fields, _ in read_csv_rows(path)] == ["two\nlines", "x"]
