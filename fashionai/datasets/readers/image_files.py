"""Which files are images: by their names, or by their content."""

from __future__ import annotations

from pathlib import Path

from fashionai.errors import DataError
from fashionai.pipeline.decode import read_header

# Formats that cannot be decoded count too: checking then names them, none is passed over.
IMAGE_SUFFIXES = (
    *(".jpg", ".jpeg", ".jpe", ".jfif", ".jp2", ".png", ".bmp", ".webp", ".tif", ".tiff"),
    *(".ppm", ".pgm", ".pbm", ".gif", ".avif", ".heic"),
)


def is_image_name(name: str) -> bool:
    """Whether a file's suffix is one of images."""
    return name.lower().endswith(IMAGE_SUFFIXES)


def holds_image(path: Path) -> bool:
    """Whether a path is an image file, whatever its name; DataError when it cannot be read."""
    if not path.is_file():
        return False
    try:
        with path.open("rb") as handle:
            return read_header(handle) is not None
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from None
