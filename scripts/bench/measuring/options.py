"""The command-line options that all benchmark scripts take."""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple, Optional

from measuring.paths import CACHE, ROOT

PEER_PYTHON = ROOT / ".venv-bench/bin/python"


class Options(NamedTuple):
    """The command line of a benchmark; ``images`` is the number of images per repetition."""

    repetitions: int
    images: int
    quick: bool
    cache: Path
    out: Optional[Path]
    peer_python: Path


def read_options(
    description: Optional[str],
    images: int,
    quick_images: int,
    own: Sequence[argparse.ArgumentParser] = (),
) -> Options:
    """Parse the command line; ``images`` and ``quick_images`` are the defaults of --images.

    ``own`` parsers have the options that a script takes in addition, and reads itself.
    """
    parser = argparse.ArgumentParser(
        description=description,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        parents=own,
    )
    parser.add_argument("--repetitions", type=int, help="measurements per side (default: 5)")
    parser.add_argument("--images", type=int, help=f"images per repetition (default: {images:,})")
    parser.add_argument(
        "--quick",
        action="store_true",
        help="try the script on few images; the figures mean nothing",
    )
    parser.add_argument(
        "--cache",
        type=Path,
        default=CACHE,
        help="folder for images and runs (default: %(default)s)",
    )
    parser.add_argument("--out", type=Path, help="folder for the results as JSON")
    parser.add_argument(
        "--peer-python",
        type=Path,
        default=Path(os.environ.get("BENCH_PYTHON") or PEER_PYTHON),
        help="interpreter of the peers (default: $BENCH_PYTHON, else .venv-bench/bin/python)",
    )
    given = parser.parse_args()
    return Options(
        repetitions=given.repetitions or (2 if given.quick else 5),
        images=given.images or (quick_images if given.quick else images),
        quick=given.quick,
        cache=given.cache.resolve(),
        out=given.out,
        # Resolving the link would name the interpreter outside of its virtual environment.
        peer_python=given.peer_python.absolute(),
    )
