"""``fashionai prepare`` on many JPEGs, over decoding them once with all cores.

Every file has bytes of its own: a tenth of the images is drawn, the rest are the same with
another comment. The peer is cv2.imread in a thread for each core.
"""

from __future__ import annotations

import os
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from harness import Comparison, Side, Target, read_options, run
from images import CLASSES, make_images
from trained_runs import fashionai_command

# Files of one drawn image.
COPIES = 10
START_OF_IMAGE, COMMENT = b"\xff\xd8", b"\xff\xfe"


def main() -> None:
    """Compare."""
    options = read_options(__doc__, images=20_000, quick_images=400)
    tree = distinct_images(options.cache, options.images)
    # On the file system of the images, where hard links are possible.
    with tempfile.TemporaryDirectory(dir=options.cache) as out:
        words = ("prepare", "--task", "many", "--folders", tree, "--out", f"{out}/prepared")
        ours = {
            "measure": "seconds",
            "command": fashionai_command(*words),
            "remove": [f"{out}/prepared"],
        }
        comparison = Comparison(
            f"prepare on {options.images:,} JPEGs",
            "s",
            Target(1.15, at_most=True),
            Side("decoding once with all cores", "peers/decode.py", {"folder": tree}),
            Side("fashionai prepare", "command.py", ours),
        )
        run([comparison], options)


def distinct_images(cache: Path, count: int) -> Path:
    """Class folders of so many files, no two with the same bytes."""
    tree = cache / f"distinct-{count}"
    if (tree.parent / f"{tree.name}.complete").exists():
        return tree
    drawn = make_images(cache, -(-count // COPIES))
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
