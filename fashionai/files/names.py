"""Names of files and classes as people mean them, although systems spell them differently."""

from __future__ import annotations

import os
import unicodedata

# What systems leave in folders by themselves. Such files and folders are never the user's data.
SYSTEM_FILES = (".DS_Store", "Thumbs.db", "desktop.ini", "Icon\r")
SYSTEM_FOLDERS = ("__MACOSX", "@eaDir")
# Includes formats that cannot be decoded: the check of the images then reports such a file,
# which is better than to skip it silently.
IMAGE_SUFFIXES = (
    *(".jpg", ".jpeg", ".jpe", ".jfif", ".jp2", ".png", ".bmp", ".webp", ".tif", ".tiff"),
    *(".ppm", ".pgm", ".pbm", ".gif", ".avif", ".heic", ".heif", ".hif", ".jxl", ".apng", ".svg"),
    *(".psd", ".dng", ".nef", ".cr2", ".cr3", ".arw", ".orf", ".raf", ".rw2"),
)
# In bytes: what common file systems accept as the name of a file or folder.
LONGEST_NAME = 255


def composed(text: str) -> str:
    """Return the text in composed form (NFC), in which equal letters have equal codes.

    Some systems store names in decomposed form, such as "e" and an accent for "é".
    """
    return unicodedata.normalize("NFC", text)


def comparable(name: str) -> str:
    """Return a name without what readers of CSV files and people overlook.

    These are blanks at both ends, and the difference between composed and decomposed letters.
    """
    return composed(name.strip())


def is_writable_as_text(name: str) -> bool:
    """Return whether a name is text that UTF-8 can hold; names from other systems may not be."""
    try:
        name.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def with_escaped_bytes(name: str) -> str:
    """Return a file's name with escapes such as ``\\xb9`` for the bytes that are not UTF-8.

    Other halves of characters stay; errors.printable escapes them.
    """
    try:
        return os.fsencode(name).decode("utf-8", "backslashreplace")
    except UnicodeEncodeError:
        return name


def fitting(stem: str, ending: str = "") -> str:
    """Return ``stem + ending`` as the name of a file, with the stem cut to LONGEST_NAME bytes."""
    room = LONGEST_NAME - len(os.fsencode(ending))
    encoded = os.fsencode(stem)
    if len(encoded) > room:
        # A letter of several bytes may not be cut in the middle.
        stem = encoded[:room].decode("utf-8", "ignore")
    return stem + ending


def is_image_name(name: str) -> bool:
    """Return whether a file name has an image suffix, in upper or lower case."""
    return name.lower().endswith(IMAGE_SUFFIXES)
