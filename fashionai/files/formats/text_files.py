"""Text files in the encodings that users have: UTF-8, UTF-16, and GB18030 (GBK) of Chinese systems.

The encoding is recognized. Any other encoding than UTF-8 is a guess that callers tell the user.
"""

from __future__ import annotations

import codecs
import re
from pathlib import Path
from typing import NamedTuple, Optional

from fashionai.errors import DataError, counted

UTF_8 = "UTF-8"
# In bytes. Label files are much smaller; a larger file is something else and could fill the memory.
LARGEST_TEXT = 2**30
# The number of bytes that tell UTF-16 without a byte order mark, by the zeros of ASCII letters.
SAMPLE = 4096
# The last letters of Latin Extended-B, for phonetics and languages that are hardly written. The
# bytes of a few Chinese characters are such letters in UTF-8: the word for skirt is U+0239.
RARE_LETTERS = frozenset(map(chr, range(0x220, 0x250)))
# The share of characters in common Chinese use (GB2312) that makes a text Chinese.
COMMON_SHARE = 0.9
# Two accented letters, as in "Größe", have the bytes of a Chinese character. A word of a Western
# language has few of them together, beside ASCII letters. In small letters it may begin and end
# with them: the first byte of the 3,755 most common Chinese characters is no small letter. In
# capitals, such as "SITUAÇÃO", it must not, and it has three ASCII letters: "A型" has two capitals.
WORD = re.compile(r"[A-Za-z\u0080-\uffff]+")
WESTERN_WORD = re.compile(
    r"(?=.*[A-Za-z])(?!.*[ß-öø-ÿ]{4})[A-Za-z]?[a-zß-öø-ÿ]*"
    r"|(?=(?:[^A-Za-z]*[A-Za-z]){3})[A-Za-z]+(?:[À-ÖØ-öø-ÿ]{1,3}[A-Za-z]+)+"
)


class Text(NamedTuple):
    """The content of a text file and the name of its encoding."""

    text: str
    encoding: str

    def note(self, path: Path) -> list[str]:
        """Return a line for the user about the encoding; none for UTF-8, the expected one."""
        return [] if self.encoding == UTF_8 else [f"{path}: read as {self.encoding}, not UTF-8"]


def read_text(path: Path, expected: str, largest: int = LARGEST_TEXT) -> Text:
    """Read a text file in the encoding that its bytes show.

    Raises DataError when it cannot be read, is larger than ``largest`` bytes, or is not text;
    ``expected`` says what the file should hold.
    """
    try:
        if path.stat().st_size > largest:
            raise DataError(f"{path}: has over {counted(largest, 'byte')}, expected {expected}")
        data = path.read_bytes()
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from None
    for encoding, codec in _candidates(data):
        try:
            return Text(data.decode(codec), encoding)
        except UnicodeDecodeError:
            continue
    raise DataError(f"{path}: not UTF-8 text, expected {expected}", _hint(data))


def _candidates(data: bytes) -> list[tuple[str, str]]:
    """Return the encodings that the bytes may have, as names and codecs, the likeliest first."""
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return [("UTF-16", "utf-16")]
    without_mark = _utf_16_without_mark(data[:SAMPLE])
    if without_mark is not None:
        return [("UTF-16", without_mark)]
    found = [(UTF_8, "utf-8-sig")]
    if data.isascii() or data.startswith(codecs.BOM_UTF8):
        return found
    foreign = _foreign_letters(data, "utf-8-sig")
    if (foreign is None or foreign <= RARE_LETTERS) and _looks_chinese(data):
        return [("GB18030", "gb18030"), *found]
    return found


def _utf_16_without_mark(sample: bytes) -> Optional[str]:
    """Return the codec of ASCII letters in UTF-16, each with one zero byte; None for others."""
    half = len(sample) // 2
    if half < 2:
        return None
    for codec, zeros, letters in (("utf-16-le", 1, 0), ("utf-16-be", 0, 1)):
        if sample[zeros::2].count(0) > 0.9 * half and sample[letters::2].count(0) == 0:
            return codec
    return None


def _foreign_letters(data: bytes, codec: str) -> Optional[set[str]]:
    """Return the distinct letters that are not ASCII; None when the bytes do not fit the codec."""
    try:
        return {letter for letter in set(data.decode(codec)) if letter > "\x7f"}
    except UnicodeDecodeError:
        return None


def _looks_chinese(data: bytes) -> bool:
    """Return whether GB18030 gives mostly common Chinese characters.

    Almost any bytes are valid GB18030. Common characters have two bytes from 0xA1 on, which
    accented letters of Western encodings, single between ASCII letters, rarely give.
    """
    foreign = _foreign_letters(data, "gb18030")
    if not foreign or b"\0" in data or _looks_western(data):
        return False
    common = sum(letter.encode("gb2312", "ignore") != b"" for letter in foreign)
    return common >= COMMON_SHARE * len(foreign)


def _looks_western(data: bytes) -> bool:
    """Return whether Windows-1252 gives Western words alone."""
    try:
        text = data.decode("cp1252")
    except UnicodeDecodeError:
        return False
    words = (match.group() for match in WORD.finditer(text))
    return all(word.isascii() or WESTERN_WORD.fullmatch(word) for word in words)


def _hint(data: bytes) -> str:
    """Return the likely encoding of a text of Western or Japanese systems; "" for other bytes."""
    if any(byte < 32 and byte not in b"\t\n\r" for byte in data[:SAMPLE]):
        return ""
    for codec, name in (("shift_jis", "Shift JIS"), ("cp1252", "Windows-1252")):
        try:
            text = data.decode(codec)
        except UnicodeDecodeError:
            continue
        if codec == "cp1252" or any("\u3040" <= character <= "\u30ff" for character in text):
            return f"It looks like {name}: save it as UTF-8"
    return ""
