"""``fashionai prepare`` on many JPEGs, compared with decoding them once with all cores.

No two files have the same bytes: a tenth of the images is drawn, and the others are copies with
different JPEG comments. The peer is cv2.imread with one thread per core.
"""

from __future__ import annotations

import math
import os
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from measuring.comparison import Comparison, Target, run_comparisons
from measuring.images import CLASSES, make_images
from measuring.options import read_options
from measuring.runs import fashionai_command
from measuring.side import Side

# Files per drawn image.
COPIES = 10
START_OF_IMAGE, COMMENT = b"\xff\xd8", b"\xff\xfe"


def main() -> None:
    """Run the comparison."""
    options = read_options(__doc__, images=20_000, quick_images=400)
    tree = distinct_images(options.cache, options.images)
    # On the file system of the images, where hard links are possible.
    with tempfile.TemporaryDirectory(dir=options.cache) as out:
        arguments = ("--task", "many", "--folders", tree, "--out", f"{out}/prepared")
        ours = {
            "measure": "seconds",
            "command": fashionai_command("prepare", *arguments),
            "remove": [f"{out}/prepared"],
        }
        comparison = Comparison(
            f"prepare on {options.images:,} JPEGs",
            "s",
            Target(1.15, at_most=True),
            Side("decoding once with all cores", "peers/decode.py", {"folder": tree}),
            Side("fashionai prepare", "measuring/command.py", ours),
        )
        run_comparisons([comparison], options)


def distinct_images(cache: Path, count: int) -> Path:
    """Class folders with ``count`` files, no two of which have the same bytes."""
    tree = cache / f"distinct-{count}"
    if (tree.parent / f"{tree.name}.complete").exists():
        return tree
    drawn = make_images(cache, math.ceil(count / COPIES))
    for label in range(CLASSES):
        (tree / f"class-{label}").mkdir(parents=True, exist_ok=True)

    def write(number: int) -> None:
        text = f"{number:08d}".encode()
        comment = COMMENT + (len(text) + 2).to_bytes(2, "big") + text
        data = drawn[number // COPIES].read_bytes().removeprefix(START_OF_IMAGE)
        file = tree / f"class-{number % CLASSES}/{number:08d}.jpg"
        file.write_bytes(START_OF_IMAGE + comment + data)

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        list(pool.map(write, range(count)))
    (tree.parent / f"{tree.name}.complete").touch()
    return tree


if __name__ == "__main__":
    main()
