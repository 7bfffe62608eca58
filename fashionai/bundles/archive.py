"""The zip file of a bundle: the same members give the same bytes, and a changed byte is found."""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Mapping
from pathlib import Path

from fashionai.errors import DataError, counted, shown
from fashionai.export.file_names import DESCRIPTION_FILE, MODEL_FILE
from fashionai.files import content_hash

CHECKSUMS_FILE = "checksums.sha256"
# The members of every bundle.
PROGRAM_FILE, CARD_FILE, EXPECTED_FILE = "predict.py", "model_card.md", "samples/expected.jsonl"
REQUIRED = (MODEL_FILE, DESCRIPTION_FILE, PROGRAM_FILE, CARD_FILE, EXPECTED_FILE)
# The program that this version puts into a bundle.
PROGRAM = Path(__file__).with_name(PROGRAM_FILE)
# A file system has room for each name, and a command line for all of them.
SAMPLE_NAME = re.compile(r"samples/[0-9]{1,3}\.png")

# Zip files store no earlier date.
DATE = (1980, 1, 1, 0, 0, 0)
UNIX, PERMISSIONS = 3, 0o644 << 16

# What zipfile raises for a damaged or foreign file, whose length, version, encryption or name it
# cannot read; zlib.error and the like are for compressed members, which are not read.
ZIP_ERRORS = (
    zipfile.BadZipFile,
    EOFError,
    NotImplementedError,
    OSError,
    RuntimeError,
    ValueError,
)


def pack(members: Mapping[str, bytes]) -> bytes:
    """The zip file of these members, with their SHA-256 as ``sha256sum --check`` reads it.

    Members are not compressed, so that the bytes depend on no version of zlib.
    """
    lines = "".join(f"{content_hash(data)}  {name}\n" for name, data in sorted(members.items()))
    return _zip({**members, CHECKSUMS_FILE: lines.encode()})


def unpack(file: Path) -> dict[str, bytes]:
    """The members of a bundle by name, without the checksums.

    Raises DataError for a file that is no bundle, and for one of which a byte was changed.
    """
    try:
        content = file.read_bytes()
    except OSError as error:
        raise DataError(f"{file}: cannot be read: {error.strerror}") from None
    members = _members(file, content)
    missing = [name for name in (CHECKSUMS_FILE, *REQUIRED) if name not in members]
    if missing:
        raise DataError(f"{file}: not a bundle of fashionai: {missing[0]} is missing")
    for name in members:
        if name not in (CHECKSUMS_FILE, *REQUIRED) and not SAMPLE_NAME.fullmatch(name):
            raise DataError(f"{file}: {shown(name)} is not part of a bundle")
    _check_sums(file, members)
    # The sums do not cover what lies between the members, such as dates and comments.
    if pack({name: members[name] for name in members if name != CHECKSUMS_FILE}) != content:
        raise DataError(f"{file}: changed since it was written, outside of its members")
    del members[CHECKSUMS_FILE]
    return members


def is_bundle(file: Path) -> bool:
    """Whether a file is an earlier bundle, whole or not."""
    try:
        with zipfile.ZipFile(file) as archive:
            return {CHECKSUMS_FILE, *REQUIRED} <= set(archive.namelist())
    except ZIP_ERRORS:
        return False


def _zip(members: Mapping[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for name, data in sorted(members.items()):
            info = zipfile.ZipInfo(name, DATE)
            info.create_system, info.external_attr = UNIX, PERMISSIONS
            archive.writestr(info, data)
    return buffer.getvalue()


def _members(file: Path, content: bytes) -> dict[str, bytes]:
    """The members of a zip file; those of a bundle are not compressed, so they cannot be bombs."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            infos = archive.infolist()
            compressed = any(info.compress_type != zipfile.ZIP_STORED for info in infos)
            if compressed or sum(info.file_size for info in infos) > len(content):
                raise DataError(f"{file}: not a bundle of fashionai: its members are compressed")
            return {info.filename: archive.read(info) for info in infos}
    except ZIP_ERRORS as error:
        raise DataError(f"{file}: damaged, or not a zip file: {error}") from None


def _check_sums(file: Path, members: Mapping[str, bytes]) -> None:
    lines = members[CHECKSUMS_FILE].decode("utf-8", "replace").splitlines()
    stated = {name: digest for digest, _, name in (line.partition("  ") for line in lines)}
    changed = [
        name
        for name, data in members.items()
        if name != CHECKSUMS_FILE and stated.get(name) != content_hash(data)
    ]
    if changed:
        more = f" (and {counted(len(changed) - 1, 'more file')})" if len(changed) > 1 else ""
        raise DataError(
            f"{file}: {changed[0]} is not what {CHECKSUMS_FILE} says{more}: changed or damaged",
            "Take it again from where it was written",
        )
