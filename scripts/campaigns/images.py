"""Decode mutated and truncated images of every format, and count what ends the process.

    python scripts/campaigns/images.py --cases 5000 --seed 1

Each case runs in a child process, which is started again if it ends. A case fails if the process
ends, an error escapes that is not a DataError, a decoding takes more than 20 s, or an image passes
the inspection and then cannot be decoded. Failing inputs are written to --keep. ``--library
opencv`` and ``--library pillow`` call that library directly, as fashionai does not: this is how
image_formats.py got its list.
"""

from __future__ import annotations

import argparse
import io
import json
import multiprocessing
import random
import resource
import sys
import time
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Optional

import cv2
import numpy as np
import pillow_heif
from PIL import Image

SLOW_SECONDS = 20
# Address space of a child. A decoder that asks for more fails the case with the memory it took.
MEMORY_BYTES = 6 << 30
FAILURES = ("process ended", "error escaped", "slow", "sound, not decoded")


def picture(mode: str = "RGB", size: tuple[int, int] = (48, 36)) -> Image.Image:
    """A small picture with gradients and noise, transparent where the mode allows."""
    rng = np.random.default_rng(7)
    y, x = np.mgrid[: size[1], : size[0]]
    colours = np.stack([5 * x, 7 * y, 3 * (x + y)], axis=2) % 256
    colours = (colours + rng.integers(0, 24, colours.shape)).clip(0, 255).astype(np.uint8)
    image = Image.fromarray(colours)
    if mode in ("RGBA", "LA"):
        image.putalpha(Image.fromarray((9 * x % 256).astype(np.uint8)))
    if mode == "I;16":
        return Image.fromarray(colours[:, :, 0].astype(np.uint16) * 16)
    return image.convert(mode)


def encoded(mode: str, format_name: str, **options: Any) -> bytes:
    """The picture, encoded by Pillow."""
    buffer = io.BytesIO()
    picture(mode).save(buffer, format_name, **options)
    return buffer.getvalue()


def by_opencv(suffix: str, *parameters: int, channels: int = 3) -> bytes:
    """The picture, encoded by OpenCV."""
    pixels = np.asarray(picture("RGBA"))[:, :, :channels]
    return cv2.imencode(suffix, np.ascontiguousarray(pixels), parameters)[1].tobytes()


def seeds() -> dict[str, list[bytes]]:
    """Sound encodings by the name of their format."""
    pillow_heif.register_heif_opener()
    second = [picture().rotate(90)]
    tags = Image.Exif()
    tags[0x0112] = 6
    tagged = {"exif": tags.tobytes()}
    return {
        "JPEG": [
            encoded("RGB", "JPEG", quality=80),
            encoded("RGB", "JPEG", progressive=True),
            encoded("L", "JPEG", exif=tags.tobytes()),
            encoded("CMYK", "JPEG"),
            encoded("RGB", "JPEG", restart_marker_blocks=1),
            by_opencv(".jpg"),
        ],
        "PNG": [
            encoded("RGB", "PNG"),
            encoded("P", "PNG"),
            encoded("1", "PNG"),
            encoded("L", "PNG", exif=tags.tobytes()),
            encoded("I;16", "PNG"),
            by_opencv(".png"),
        ],
        "PNG, transparent": [
            encoded("RGBA", "PNG"),
            encoded("LA", "PNG"),
            encoded("P", "PNG", transparency=3),
            encoded("RGB", "PNG", transparency=(5, 5, 5)),
            by_opencv(".png", channels=4),
        ],
        "PNG, animated": [encoded("RGB", "PNG", save_all=True, append_images=second)],
        "WebP": [
            encoded("RGB", "WEBP"),
            encoded("RGB", "WEBP", lossless=True, exif=tags.tobytes()),
            by_opencv(".webp"),
        ],
        "WebP, transparent": [encoded("RGBA", "WEBP"), encoded("RGBA", "WEBP", lossless=True)],
        "WebP, animated": [encoded("RGB", "WEBP", save_all=True, append_images=second)],
        "BMP": [encoded(mode, "BMP") for mode in ("RGB", "P", "1", "RGBA")] + [by_opencv(".bmp")],
        "TIFF": [
            encoded("RGB", "TIFF"),
            *(
                encoded("RGB", "TIFF", compression=name)
                for name in ("tiff_lzw", "tiff_adobe_deflate", "jpeg", "packbits")
            ),
            encoded("1", "TIFF", compression="group4"),
            encoded("RGBA", "TIFF"),
            encoded("I;16", "TIFF"),
            by_opencv(".tiff"),
        ],
        "JPEG 2000": [
            *(encoded(mode, "JPEG2000") for mode in ("RGB", "RGBA", "L", "I;16")),
            encoded("RGB", "JPEG2000", no_jp2=True, irreversible=True),
            by_opencv(".jp2"),
        ],
        "PNM": [encoded(mode, "PPM") for mode in ("RGB", "L", "1", "I;16")],
        "GIF": [encoded("P", "GIF"), encoded("P", "GIF", save_all=True, append_images=second)],
        "AVIF": [encoded(mode, "AVIF", **tagged) for mode in ("RGB", "RGBA", "L")],
        "HEIC": [encoded(mode, "HEIF", **tagged) for mode in ("RGB", "RGBA", "L", "I;16")],
        "others": [
            encoded("RGB", "ICO"),
            encoded("RGB", "DDS"),
            by_opencv(".hdr"),
            by_opencv(".ras"),
        ],
    }


def mutate(data: bytes, rng: random.Random) -> bytes:
    """Change an encoding in one of the ways in which files get damaged, or several."""
    changed = bytearray(data)
    for _ in range(rng.choice((1, 1, 1, 2, 4, 8))):
        place = rng.randrange(len(changed)) if changed else 0
        # Headers are a small part of the bytes and decide most.
        place = min(place, rng.randrange(150)) if rng.random() < 0.4 else place
        place = min(place, max(0, len(changed) - 1))
        _MUTATIONS[rng.randrange(len(_MUTATIONS))](changed, place, rng)
        if not changed:
            break
    # With wrong checksums no damage would get past the first look at a PNG.
    return _with_png_checksums(bytes(changed)) if rng.random() < 0.5 else bytes(changed)


def _with_png_checksums(data: bytes) -> bytes:
    """Put the right checksum into each chunk of a PNG; other data stay as they are."""
    if not data.startswith(b"\x89PNG\r\n\x1a\n"):
        return data
    repaired, position = bytearray(data), 8
    while position + 12 <= len(data):
        end = position + 8 + int.from_bytes(data[position : position + 4], "big")
        if end + 4 > len(data):
            break
        repaired[end : end + 4] = zlib.crc32(data[position + 4 : end]).to_bytes(4, "big")
        position = end + 4
    return bytes(repaired)


def _flip_bit(data: bytearray, place: int, rng: random.Random) -> None:
    data[place] ^= 1 << rng.randrange(8)


def _set_byte(data: bytearray, place: int, rng: random.Random) -> None:
    data[place] = rng.choice((0, 1, 0x7F, 0x80, 0xFF, rng.randrange(256)))


def _set_word(data: bytearray, place: int, rng: random.Random) -> None:
    value = rng.choice((0, 1, 0x7FFFFFFF, 0xFFFFFFFF, 0x10000, rng.randrange(1 << 32)))
    data[place : place + 4] = value.to_bytes(4, rng.choice(("big", "little")))


def _truncate(data: bytearray, place: int, rng: random.Random) -> None:
    del data[place:]


def _remove(data: bytearray, place: int, rng: random.Random) -> None:
    del data[place : place + rng.randrange(1, 40)]


def _zero_block(data: bytearray, place: int, rng: random.Random) -> None:
    end = min(len(data), place + rng.randrange(1, 512))
    data[place:end] = bytes(end - place)


def _insert(data: bytearray, place: int, rng: random.Random) -> None:
    data[place:place] = rng.randbytes(rng.randrange(1, 40))


def _repeat(data: bytearray, place: int, rng: random.Random) -> None:
    data[place:place] = data[place : place + rng.randrange(1, 200)]


_MUTATIONS: tuple[Callable[[bytearray, int, random.Random], None], ...] = (
    *(
        _flip_bit,
        _flip_bit,
        _set_byte,
        _set_word,
        _truncate,
        _remove,
        _zero_block,
        _insert,
        _repeat,
    ),
)


def make_case(inputs: dict[str, list[bytes]], seed: int, number: int) -> tuple[str, bytes]:
    """The format and the bytes of a case: a function of the seed and the number alone."""
    rng = random.Random(f"{seed} {number}")
    names = list(inputs)
    name = names[number % len(names)]
    return name, mutate(rng.choice(inputs[name]), rng)


def run_ours(data: bytes) -> str:
    """Inspect and decode as fashionai does; returns the outcome."""
    from fashionai.errors import DataError
    from fashionai.pipeline.decode import decode, inspect_image

    damage = inspect_image(data).damage
    try:
        decode(data, 16, "case")
    except DataError:
        return "refused" if damage else "sound, not decoded"
    return "refused, decoded smaller" if damage else "decoded"


def run_opencv(data: bytes) -> str:
    """Decode with OpenCV alone."""
    pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR) if data else None
    return "refused" if pixels is None else "decoded"


def run_pillow(data: bytes) -> str:
    """Decode with Pillow alone."""
    try:
        with Image.open(io.BytesIO(data)) as image:
            image.convert("RGB")
    except (OSError, SyntaxError, ValueError):
        return "refused"
    return "decoded"


RUNNERS = {"ours": run_ours, "opencv": run_opencv, "pillow": run_pillow}


def work(library: str, seed: int, numbers: Sequence[int], connection: Any) -> None:
    """Run cases in a child process, and send (number, outcome, detail) after each."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    inputs = seeds()
    for number in numbers:
        _, data = make_case(inputs, seed, number)
        started = time.perf_counter()
        try:
            outcome, detail = RUNNERS[library](data), ""
        except BaseException as error:
            outcome, detail = "error escaped", f"{type(error).__name__}: {error}"[:200]
        if time.perf_counter() - started > SLOW_SECONDS:
            outcome = "slow"
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        connection.send((number, outcome, detail, peak))
    connection.close()


def run_campaign(
    library: str, cases: int, seed: int, keep: Optional[Path] = None
) -> dict[str, Any]:
    """Run all cases; returns counts by format and outcome, failures and the largest memory."""
    context = multiprocessing.get_context("spawn")
    inputs = seeds()
    counts: dict[str, dict[str, int]] = {name: {} for name in inputs}
    failures: list[dict[str, Any]] = []
    peak, start = 0, 0

    def record(number: int, outcome: str, detail: str) -> None:
        name, data = make_case(inputs, seed, number)
        counts[name][outcome] = counts[name].get(outcome, 0) + 1
        if outcome in FAILURES:
            failures.append({"case": number, "format": name, "outcome": outcome, "detail": detail})
            if keep:
                keep.mkdir(parents=True, exist_ok=True)
                (keep / f"{seed}-{number}").write_bytes(data)

    while start < cases:
        receiver, sender = context.Pipe(duplex=False)
        child = context.Process(target=work, args=(library, seed, range(start, cases), sender))
        child.start()
        sender.close()
        slow = False
        try:
            while start < cases:
                slow = not receiver.poll(SLOW_SECONDS + 60)
                if slow:
                    break
                number, outcome, detail, peak_now = receiver.recv()
                record(number, outcome, detail)
                peak, start = max(peak, peak_now), number + 1
        except EOFError:
            pass
        if slow:
            child.kill()
        child.join()
        if start < cases:
            record(start, "slow" if slow else "process ended", f"exit code {child.exitcode}")
            start += 1
    return {"counts": counts, "failures": failures, "peak_megabytes": peak // 1024}


def main() -> int:
    """Run a campaign, print its figures, and return 1 if a case failed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", type=int, default=5000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--library", choices=RUNNERS, default="ours")
    parser.add_argument("--keep", type=Path)
    options = parser.parse_args()
    started = time.perf_counter()
    result = run_campaign(options.library, options.cases, options.seed, options.keep)
    for name, outcomes in result["counts"].items():
        found = ", ".join(f"{count} {outcome}" for outcome, count in sorted(outcomes.items()))
        print(f"{name:20} {found}")
    for failure in result["failures"][:20]:
        print(json.dumps(failure))
    seconds = time.perf_counter() - started
    print(
        f"{options.cases:,} cases, {len(result['failures'])} failures, "
        f"{result['peak_megabytes']:,} MB at most, {seconds:.0f} s"
    )
    return 1 if result["failures"] else 0


if __name__ == "__main__":
    sys.exit(main())
