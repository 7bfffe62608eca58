"""The formats of images by the first bytes of their files."""

from __future__ import annotations

from typing import Optional

# The number of bytes that identify_format needs.
HEAD = 64

PNG_MAGIC = b"\x89PNG\r\n\x1a\n"

_SIGNATURES = (
    (0, b"\xff\xd8\xff", "JPEG"),
    (0, PNG_MAGIC, "PNG"),
    (8, b"WEBP", "WebP"),
    (0, b"BM", "BMP"),
    *((0, mark, "TIFF") for mark in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")),
    (0, b"\0\0\0\x0cjP  \r\n\x87\n", "JPEG 2000"),
    (0, b"\xff\x4f\xff\x51", "JPEG 2000"),
    (0, b"GIF87a", "GIF"),
    (0, b"GIF89a", "GIF"),
    *((4, b"ftyp" + brand, "AVIF") for brand in (b"avif", b"avis")),
    *((4, b"ftyp" + brand, "HEIF") for brand in (b"heic", b"heix", b"hevc", b"mif1", b"msf1")),
    (0, b"\xff\x0a", "JPEG XL"),
    (0, b"\0\0\0\x0cJXL \r\n\x87\n", "JPEG XL"),
    (40, b" EMF", "EMF"),
    (0, b"\xd7\xcd\xc6\x9a", "WMF"),
    (0, b"8BPS", "PSD"),
    (0, b"\0\0\1\0", "icon"),
    (0, b"v/1\1", "OpenEXR"),
    (0, b"#?RADIANCE", "Radiance HDR"),
    (0, b"\x59\xa6\x6a\x95", "Sun raster"),
    (0, b"DDS |\0\0\0", "DDS"),
    (0, b"SIMPLE  =", "FITS"),
)


def identify_format(head: bytes) -> Optional[str]:
    """Return the name of the format that begins with ``head``, None for an unknown one."""
    for offset, mark, name in _SIGNATURES:
        if head.startswith(mark, offset):
            return name
    is_pnm = len(head) > 2 and head[:1] == b"P" and head[1:2] in b"123456" and head[2:3].isspace()
    return "PNM" if is_pnm else None
