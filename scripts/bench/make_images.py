"""Makes the images of the benchmarks, to look at them; the benchmarks make them themselves."""

from __future__ import annotations

import argparse
from pathlib import Path

from measuring.images import make_images
from measuring.paths import CACHE


def main() -> None:
    """Make the images and print their number and mean size."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cache", type=Path, default=CACHE, help="default: %(default)s")
    parser.add_argument("--images", type=int, default=2000, help="default: %(default)s")
    arguments = parser.parse_args()
    files = make_images(arguments.cache, arguments.images)
    size = sum(file.stat().st_size for file in files) / len(files)
    print(f"{len(files):,} images of {size / 1000:.0f} kB in {files[0].parent}")


if __name__ == "__main__":
    main()
