"""What to do about images of formats that are not read: the command that converts one."""

from __future__ import annotations

from fashionai.files.formats.image_signatures import RAW
from fashionai.pipeline.formats.optional_formats import FORMATS

INSTALL = 'pip install "fashionai[formats]"'

# ImageMagick reads most formats. [0] is the first frame, or the picture of all layers.
_CONVERT = 'magick "FILE[0]" OUT.png'
_CONVERT_OTHERS = {
    "SVG": "rsvg-convert FILE --output OUT.png",
    RAW: "darktable-cli FILE OUT.jpg",
    "XCF": "magick FILE -flatten OUT.png",
    "EMF": "soffice --convert-to png FILE",
    "WMF": "soffice --convert-to png FILE",
}


def unread(name: str) -> str:
    """Why an image of a format that is not read cannot be used, and how to convert it."""
    command = _CONVERT_OTHERS.get(name, _CONVERT)
    if name in FORMATS:
        return f"{name} needs a library: {INSTALL}; or convert it: {command}"
    return f"{name} is not read; convert it: {command}"


def animated(name: str) -> str:
    """Why an animation cannot be used, and how to make an image of its first frame."""
    return f"animated {name}, expected a still image; convert its first frame: {_CONVERT}"
