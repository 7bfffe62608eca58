"""The command line of scripts/check_gpu.sh."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import NoReturn, Optional

from gpu_check.kit import Kit, KitError
from gpu_check.plan import FULL, PARTS, TINY

NAME = "check_gpu.sh"


class Parser(argparse.ArgumentParser):
    """A parser whose errors are one line."""

    def error(self, message: str) -> NoReturn:
        """Print the error and exit with code 2."""
        print(f"{NAME}: {message}", file=sys.stderr)
        raise SystemExit(2)


def parse(arguments: list[str]) -> argparse.Namespace:
    """The options of the command line."""
    text = "Check and measure training with PyTorch on a GPU."
    parser = Parser(NAME, description=text, allow_abbrev=False)
    parser.add_argument("folder", nargs="?", type=Path, metavar="DIR", help="a prepared folder")
    parser.add_argument(
        "--prepare", type=Path, metavar="DIR", help="write the folder, on a machine with MXNet"
    )
    parser.add_argument("--tiny", action="store_true", help="tiny sizes, for a CPU")
    parser.add_argument(
        "--packages",
        default="3.12",
        metavar="VERSION",
        help="with --prepare: version of Python on the machine with the GPU, or none to store no "
        "packages; default %(default)s",
    )
    parser.add_argument("--device", choices=("gpu", "cpu"), default="gpu")
    parser.add_argument(
        "--out",
        type=Path,
        default=Path("build/check_gpu"),
        help="folder of results; default %(default)s",
    )
    parser.add_argument("--only", metavar="PART,...", help=f"parts to run: {', '.join(PARTS)}")
    given = parser.parse_args(arguments)
    if (given.prepare is None) == (given.folder is None):
        parser.error("give either DIR or --prepare DIR")
    chosen = PARTS if given.only is None else tuple(given.only.split(","))
    for name in chosen:
        if name not in PARTS:
            parser.error(f"--only: no part '{name}', expected {', '.join(PARTS)}")
    given.parts = chosen
    return given


def main(arguments: Optional[list[str]] = None) -> int:
    """Prepare or check; returns the exit code."""
    given = parse(sys.argv[1:] if arguments is None else arguments)
    try:
        if given.prepare is not None:
            from gpu_check.prepare import prepare

            python = None if given.packages == "none" else given.packages
            prepare(given.prepare, TINY if given.tiny else FULL, python)
            return 0
        kit = Kit(given.folder)
        if given.tiny and kit.plan() is not TINY:
            raise KitError(f"{kit.folder}: not prepared with --tiny")
        from gpu_check.run import Check

        return 0 if Check(kit, given.device, given.out).run(given.parts) else 1
    except KitError as error:
        print(f"{NAME}: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    raise SystemExit(main())
