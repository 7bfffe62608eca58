"""The formats of images by the first bytes of their files."""

from __future__ import annotations

import re
from typing import Optional

# The number of bytes that identify_format needs: an SVG may begin with a declaration and comments.
HEAD = 1024

PNG_MAGIC = b"\x89PNG\r\n\x1a\n"
RAW = "camera raw"

_SIGNATURES = (
    (0, b"\xff\xd8\xff", "JPEG"),
    (0, PNG_MAGIC, "PNG"),
    (8, b"WEBP", "WebP"),
    (0, b"BM", "BMP"),
    (0, b"II*\0\x10\0\0\0CR", RAW),  # Canon's CR2 begins like a TIFF
    *((0, mark, RAW) for mark in (b"FUJIFILMCCD-RAW", b"IIU\0", b"IIRO", b"IIRS", b"MMOR")),
    *((0, mark, "TIFF") for mark in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")),
    (0, b"\0\0\0\x0cjP  \r\n\x87\n", "JPEG 2000"),
    (0, b"\xff\x4f\xff\x51", "JPEG 2000"),
    (0, b"GIF87a", "GIF"),
    (0, b"GIF89a", "GIF"),
    (0, b"\xff\x0a", "JPEG XL"),
    (0, b"\0\0\0\x0cJXL \r\n\x87\n", "JPEG XL"),
    (40, b" EMF", "EMF"),
    (0, b"\xd7\xcd\xc6\x9a", "WMF"),
    (0, b"8BPS", "PSD"),
    (0, b"gimp xcf", "XCF"),
    (0, b"\0\0\1\0", "icon"),
    (0, b"v/1\1", "OpenEXR"),
    (0, b"#?RADIANCE", "Radiance HDR"),
    (0, b"\x59\xa6\x6a\x95", "Sun raster"),
    (0, b"DDS |\0\0\0", "DDS"),
    (0, b"SIMPLE  =", "FITS"),
)
# The brands of files of boxes (ISO/IEC 14496-12), the most specific format first: an AVIF may have
# mif1, any coded image, as its first brand.
_BRANDS = {
    "AVIF": frozenset({b"avif", b"avis"}),
    "HEIC": frozenset({b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"}),
    RAW: frozenset({b"crx "}),
}
_BEFORE_ELEMENTS = re.compile(rb"<!--.*?-->|<\?xml.*?\?>", re.DOTALL)


def identify_format(head: bytes) -> Optional[str]:
    """Return the name of the format that begins with ``head``, None for an unknown one."""
    for offset, mark, name in _SIGNATURES:
        if head.startswith(mark, offset):
            return name
    if head[4:8] == b"ftyp":
        return _format_of_brands(head)
    is_pnm = len(head) > 2 and head[:1] == b"P" and head[1:2] in b"123456" and head[2:3].isspace()
    if is_pnm:
        return "PNM"
    return "SVG" if _is_svg(head) else None


def _format_of_brands(head: bytes) -> Optional[str]:
    length = min(int.from_bytes(head[:4], "big"), len(head))
    brands = {head[8:12], *(head[start : start + 4] for start in range(16, length - 3, 4))}
    return next((name for name, known in _BRANDS.items() if brands & known), None)


def _is_svg(head: bytes) -> bool:
    """Whether a text is an SVG: the element may follow a declaration and comments."""
    text = head.removeprefix(b"\xef\xbb\xbf")
    return _BEFORE_ELEMENTS.sub(b"", text).lstrip().startswith((b"<svg", b"<!DOCTYPE svg"))
