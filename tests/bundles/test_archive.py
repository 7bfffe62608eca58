"""Zip files that are no bundles, or no longer ones: each is refused with one line."""

from __future__ import annotations

import io
import re
import zipfile
from pathlib import Path
from typing import Union

import numpy as np
import pytest

from fashionai.bundles.archive import unpack
from fashionai.errors import DataError
from tests.support.commands import fashionai


def test_compressed_members_are_refused_before_they_are_read(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("model.onnx", bytes(10**6))
    (tmp_path / "bundle.zip").write_bytes(buffer.getvalue())
    with pytest.raises(DataError, match="its members are compressed"):
        unpack(tmp_path / "bundle.zip")


@pytest.mark.parametrize(
    "method", [zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA, "version", "name"]
)
def test_zip_files_that_cannot_be_read_are_refused_with_one_line(
    trained_cnn: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    method: Union[int, str],
) -> None:
    """Also where export would replace one: it is no bundle."""
    file = tmp_path / "mine.zip"
    file.write_bytes(damaged_zip(method))
    assert fashionai("verify", file) == 2
    error = capsys.readouterr().err
    assert re.match(r"Error: .*mine\.zip: (damaged|not a bundle).*\n\Z", error), error
    assert fashionai("export", "--run", trained_cnn, "--format", "bundle", "--out", file) == 2
    assert "exists and is not a bundle of fashionai" in capsys.readouterr().err


def damaged_zip(method: Union[int, str]) -> bytes:
    """A zip file with a changed byte in a compressed member, a later version or an odd name."""
    buffer, data = io.BytesIO(), np.random.default_rng(0).integers(0, 256, 999, np.uint8).tobytes()
    kind = method if isinstance(method, int) else zipfile.ZIP_STORED
    with zipfile.ZipFile(buffer, "w", kind) as archive:
        archive.writestr("m\u00e9moire.txt", data)
    content = bytearray(buffer.getvalue())
    directory = content.index(b"PK\x01\x02")
    if method == "version":
        content[directory + 6] = 99
    elif method == "name":
        content[directory + 46 + 1] = 0xFF
    else:
        start = zipfile.sizeFileHeader + len("m\u00e9moire.txt".encode())
        content[start : start + 20] = b"\xff" * 20
    return bytes(content)
