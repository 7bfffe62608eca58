"""What the header of an image file says: its size, what is special, and who decodes it.

This is the one place that decides which library decodes a format, by what happened to images of
every format here that ``scripts/campaigns/images.py`` mutated and truncated.

- OpenCV decodes JPEG, PNG, WebP and BMP: it is the fastest, and these four never ended the process.
  PNG is looked at first, because OpenCV 4.11 takes minutes for some wrong lengths of chunks.
- Pillow decodes TIFF, JPEG 2000 and PNM. OpenCV 4.11 ended the process for damaged JPEG 2000.
  Pillow also decodes PNG, WebP and BMP that have transparency, because OpenCV ignores it.
- Pillow decodes AVIF and HEIC where the extra "formats" is installed, see optional_formats.py.
- Animations are refused, because OpenCV 4.11 ended the process for damaged animated PNG, and
  because the first frame alone is often empty. So is everything else, by its name and with a way
  to convert it, see unread_formats.py.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple, Optional

from fashionai.files.formats.image_signatures import HEAD, PNG_MAGIC, RAW, identify_format

JPEG_MAGIC = b"\xff\xd8"

# JPEG markers. Those of a frame header give the size: 0xC4, 0xC8 and 0xCC have other meanings.
_START_OF_SCAN, _END_OF_IMAGE = 0xDA, 0xD9
_FRAME_HEADERS = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_WITHOUT_LENGTH = frozenset(range(0xD0, 0xD8)) | {0x01}

# The chunks of a PNG that matter for its pixels. Texts and profiles may be of any size, but each
# library has a limit, and libpng writes warnings about their content to the terminal.
_PNG_PIXEL_CHUNKS = frozenset({b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND", b"eXIf"})
_PNG_ANIMATION_CHUNKS = frozenset({b"acTL", b"fcTL", b"fdAT"})

NO_END_MARKER = "truncated: the end marker is missing"
NO_IMAGE_DATA = "truncated: image data are missing"

_BMP_HEADER_LENGTHS = frozenset({12, 40, 52, 56, 64, 108, 124})


# Of TIFF: the version of files below 4 GB, and the tags that tell a camera's raw file.
_TIFF_VERSION = 42
_SUBFILE_TYPE, _SUBFOLDERS, _DNG_VERSION = 254, 330, 50706


class ImageHeader(NamedTuple):
    """``name`` is the format. Width and height are pixels, and None where only Pillow knows them.

    ``sixteen_bits`` is set for a PNG of 16 bits per value and for an AVIF of 10 or 12.
    ``scan_start`` is the offset of a JPEG's first scan, 0 for other formats. ``tidy`` is not set
    if a JPEG or PNG has bytes that a decoder should not see, see without_extras. ``damage`` is what
    is wrong with the chunks of a PNG.
    """

    name: str
    width: Optional[int] = None
    height: Optional[int] = None
    transparent: bool = False
    sixteen_bits: bool = False
    animated: bool = False
    scan_start: int = 0
    tidy: bool = True
    damage: str = ""


def read_image_header(data: bytes) -> Optional[ImageHeader]:
    """Return what the header says; None for an unknown format and for a header that is damaged."""
    name = identify_format(data[:HEAD])
    if name is None:
        return None
    try:
        return _HEADER_READERS[name](data) if name in _HEADER_READERS else ImageHeader(name)
    except (struct.error, IndexError):
        return None


def without_extras(data: bytes, header: ImageHeader) -> bytes:
    """Return an image without the bytes that change no pixel and make decoders complain.

    These are the texts and the colour profile of a PNG, and the bytes between the segments of a
    JPEG's header (fill bytes are allowed there by ITU T.81 B.1.1.2).
    """
    if header.tidy:
        return data
    if header.name == "PNG":
        chunks = _png_chunks(data)
        kept = [data[start:end] for name, start, end in chunks if name in _PNG_PIXEL_CHUNKS]
        return PNG_MAGIC + b"".join(kept)
    segments = [data[start:end] for _, start, end in _jpeg_segments(data)]
    return JPEG_MAGIC + b"".join(segments) + data[header.scan_start :]


def has_bad_profile(data: bytes) -> bool:
    """Return whether a PNG has a colour profile whose content is no ICC profile."""
    if not data.startswith(PNG_MAGIC):
        return False
    for name, start, end in _png_chunks(data):
        if name == b"iCCP":
            _, _, packed = data[start + 8 : end - 4].partition(b"\0")
            try:
                profile_head = zlib.decompressobj().decompress(packed[1:], 128)
            except zlib.error:
                return True
            return len(profile_head) < 128 or profile_head[36:40] != b"acsp"
    return False


def _jpeg_segments(data: bytes) -> Iterator[tuple[int, int, int]]:
    """Yield (marker, start, end) of the segments before the first scan, and then that of the scan.

    The scan's segment is empty and starts at its marker. Bytes between segments are skipped.
    """
    position = len(JPEG_MAGIC)
    while True:
        position = data.find(b"\xff", position)
        while position >= 0 and data[position + 1] == 0xFF:
            position += 1
        if position < 0:
            return
        marker = data[position + 1]
        if marker in (_START_OF_SCAN, _END_OF_IMAGE):
            yield marker, position, position
            return
        if marker == 0 or marker in _WITHOUT_LENGTH:
            position += 2
            continue
        (length,) = struct.unpack_from(">H", data, position + 2)
        end = position + 2 + max(2, length)
        yield marker, position, end
        position = end


def _jpeg_header(data: bytes) -> Optional[ImageHeader]:
    header, expected, tidy = None, len(JPEG_MAGIC), True
    try:
        for marker, start, end in _jpeg_segments(data):
            tidy = tidy and start == expected
            expected = end
            if marker in _FRAME_HEADERS and header is None:
                height, width = struct.unpack_from(">HH", data, start + 5)
                header = ImageHeader("JPEG", width, height, scan_start=len(data))
            if marker == _START_OF_SCAN and header is not None:
                return header._replace(scan_start=start, tidy=tidy)
    except (struct.error, IndexError):
        pass  # The file ends inside of its header.
    return header


def _png_chunks(data: bytes) -> Iterator[tuple[bytes, int, int]]:
    """Yield (name, start, end) of each chunk to IEND; the last one of a truncated file ends beyond.

    The name is empty if fewer than 8 bytes are left for a chunk.
    """
    position, name = len(PNG_MAGIC), b""
    while name != b"IEND":
        if position + 8 > len(data):
            yield b"", position, len(data) + 1
            return
        length, name = struct.unpack_from(">I4s", data, position)
        end = position + 12 + length
        yield name, position, end
        # Zeros would be read as millions of empty chunks.
        if end > len(data) or not name.isalpha():
            return
        position = end


def _png_header(data: bytes) -> Optional[ImageHeader]:
    if data[12:16] != b"IHDR":
        return None
    width, height, depth, colour = struct.unpack_from(">IIBB", data, 16)
    chunks = list(_png_chunks(data))
    names = {name for name, _, _ in chunks}
    return ImageHeader(
        "PNG",
        width,
        height,
        transparent=colour in (4, 6) or b"tRNS" in names,
        sixteen_bits=depth == 16,
        animated=not names.isdisjoint(_PNG_ANIMATION_CHUNKS),
        tidy=names <= _PNG_PIXEL_CHUNKS and chunks[-1][2] == len(data),
        damage=_png_damage(data, chunks),
    )


def _png_damage(data: bytes, chunks: Sequence[tuple[bytes, int, int]]) -> str:
    """What is wrong with the chunks. OpenCV 4.11 takes minutes for some wrong lengths."""
    for name, start, end in chunks:
        if end > len(data):
            at_the_end = name in (b"", b"IEND") and chunks[-2:-1] and chunks[-2][0] == b"IDAT"
            return NO_END_MARKER if at_the_end else NO_IMAGE_DATA
        if not name.isalpha():
            return "damaged: a chunk without a name"
        # Decoders check the sums of the image data.
        if name in _PNG_PIXEL_CHUNKS and name != b"IDAT":
            (stated,) = struct.unpack_from(">I", data, end - 4)
            if zlib.crc32(data[start + 4 : end - 4]) != stated:
                return f"damaged: the checksum of chunk {name.decode()} is wrong"
    return ""


def _webp_header(data: bytes) -> Optional[ImageHeader]:
    """Read one of the three kinds of first chunk: extended, lossless, lossy (RFC 9649)."""
    kind = data[12:16]
    if kind == b"VP8X":
        flags = data[20]
        width = 1 + int.from_bytes(data[24:27], "little")
        height = 1 + int.from_bytes(data[27:30], "little")
        return ImageHeader("WebP", width, height, bool(flags & 0x10), animated=bool(flags & 0x02))
    if kind == b"VP8L":
        (bits,) = struct.unpack_from("<I", data, 21)
        width, height = 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
        return ImageHeader("WebP", width, height, bool(bits >> 28 & 1))
    if kind == b"VP8 ":
        width, height = struct.unpack_from("<HH", data, 26)
        return ImageHeader("WebP", width & 0x3FFF, height & 0x3FFF)
    return None


def _bmp_header(data: bytes) -> Optional[ImageHeader]:
    """Read a header of one of the known lengths; a text may begin with BM as well."""
    (length,) = struct.unpack_from("<I", data, 14)
    if length not in _BMP_HEADER_LENGTHS:
        return None
    kind = "<HHHH" if length == 12 else "<iiHH"
    width, height, planes, bits = struct.unpack_from(kind, data, 18)
    if planes != 1:
        return None
    return ImageHeader("BMP", abs(width), abs(height), transparent=bits == 32)


def _tiff_header(data: bytes) -> ImageHeader:
    """Tell camera raw files, as DNG, NEF and ARW, from other TIFF files.

    Their first picture is a small preview, and the photograph belongs to a folder of its own.
    """
    order = "<" if data[:2] == b"II" else ">"
    version, start = struct.unpack_from(f"{order}HI", data, 2)
    if version != _TIFF_VERSION:
        return ImageHeader("TIFF")
    try:
        (count,) = struct.unpack_from(f"{order}H", data, start)
        places = range(start + 2, start + 2 + 12 * count, 12)
        entries = [struct.unpack_from(f"{order}HHII", data, place) for place in places]
    except struct.error:
        return ImageHeader("TIFF")  # Its directory is missing: Pillow refuses it.
    values = {tag: value for tag, _, _, value in entries}
    is_preview = values.get(_SUBFILE_TYPE, 0) & 1 and _SUBFOLDERS in values
    return ImageHeader(RAW if is_preview or _DNG_VERSION in values else "TIFF")


def _avif_header(data: bytes) -> ImageHeader:
    """Read from the AV1 configuration (AV1-ISOBMFF 2.3) whether values have 10 or 12 bits."""
    settings = data.find(b"av1C")
    deep = settings >= 0 and bool(data[settings + 6] & 0x40)
    return ImageHeader("AVIF", sixteen_bits=deep, animated=data[8:12] == b"avis")


def _heic_header(data: bytes) -> ImageHeader:
    return ImageHeader("HEIC", animated=data[8:12] in (b"hevc", b"hevx", b"msf1"))


_HEADER_READERS: dict[str, Callable[[bytes], Optional[ImageHeader]]] = {
    "JPEG": _jpeg_header,
    "PNG": _png_header,
    "WebP": _webp_header,
    "BMP": _bmp_header,
    "TIFF": _tiff_header,
    "AVIF": _avif_header,
    "HEIC": _heic_header,
}
