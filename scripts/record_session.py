#!/usr/bin/env python
"""Runs the commands of docs/your-own-images.md on real pictures and records what they print.

usage: scripts/record_session.py [--pictures DIR] [--out FILE] [--work DIR]

--pictures has the drawings of Debian's package openclipart-png (by default where it installs them).
The commands run in the folder of --work (default: a temporary one), in a terminal of 80 columns.
--out is the page that is written (default: docs/first-session.md); of a line that a command writes
over, it has the last state. Ends with exit code 1 if a command fails.
"""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import os
import pty
import shlex
import struct
import subprocess
import sys
import tempfile
import termios
import time
from collections.abc import Iterator
from pathlib import Path

import cv2

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs/your-own-images.md"
ROWS, COLUMNS = 24, 80
CLASSES = ("birds", "bugs", "fish", "mammals")
# Some drawings have 100 megapixels.
LARGEST_SIDE = 256
# Of each class so many pictures are new ones, which are not labelled.
NEW_PICTURES = 3
HEADER = """\
# A recorded session

After reading this page you know what the commands of [your own images](your-own-images.md)
print: on {labelled} labelled drawings of animals and {new} new ones, on {cores} CPU cores. They
took {minutes}, with the download of the weights. `scripts/record_session.py` wrote this page. The
drawings are those of Debian's package `openclipart-png`.

"""


def make_pictures(source: Path, folder: Path) -> tuple[int, int]:
    """Write pictures, new-pictures and labels.csv; return the numbers of labelled and new pictures.

    Raises SystemExit if a class has no pictures in ``source``.
    """
    new = folder / "new-pictures"
    new.mkdir()
    lines, seen = ["file,animal"], set[str]()
    for name in CLASSES:
        # Some pictures are in several folders.
        found = sorted((source / "animals" / name).glob("*.png"))
        files = [file for file in found if file.name not in seen]
        seen |= {file.name for file in files}
        if not files:
            sys.exit(f"record_session.py: no pictures in {source / 'animals' / name}")
        labelled = folder / "pictures" / name
        labelled.mkdir(parents=True)
        for file in files[:NEW_PICTURES]:
            copy_picture(file, new / file.name)
        for file in files[NEW_PICTURES:]:
            copy_picture(file, labelled / file.name)
            lines.append(f"pictures/{name}/{file.name},{name}")
    (folder / "labels.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return len(lines) - 1, NEW_PICTURES * len(CLASSES)


def copy_picture(file: Path, copy: Path) -> None:
    """Copy a picture with sides of at most LARGEST_SIDE pixels."""
    image = cv2.imread(str(file), cv2.IMREAD_UNCHANGED)
    scale = min(1, LARGEST_SIDE / max(image.shape[:2]))
    small = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    cv2.imwrite(str(copy), small)


def commands_of(page: Path) -> Iterator[str]:
    """The commands in the blocks of a page that are marked ``sh``."""
    for block in page.read_text(encoding="utf-8").split("```sh\n")[1:]:
        yield from block.split("```")[0].strip().splitlines()


def run_in_terminal(command: str, folder: Path) -> str:
    """Run a command in a terminal and return what is on it at the end. Raises SystemExit."""
    main, side = pty.openpty()
    fcntl.ioctl(side, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
    environment = {key: value for key, value in os.environ.items() if key != "COLUMNS"}
    program, *arguments = shlex.split(command)
    assert program == "fashionai", command
    with subprocess.Popen(
        [sys.executable, "-m", program, *arguments],
        cwd=folder,
        env={
            **environment,
            "PYTHONPATH": str(ROOT),
            # Without weights and features of earlier commands.
            "FASHIONAI_HOME": str(folder / ".cache/fashionai"),
        },
        stdin=subprocess.DEVNULL,
        stdout=side,
        stderr=side,
    ) as process:
        os.close(side)
        printed = read_all(main)
    if process.returncode:
        sys.exit(f"{printed}\nrecord_session.py: {command}: exit code {process.returncode}")
    return printed


def read_all(terminal: int) -> str:
    """What a terminal shows when the last program on it has ended."""
    received = b""
    while True:
        try:
            part = os.read(terminal, 65536)
        except OSError:  # Linux tells the end in this way.
            part = b""
        if not part:
            os.close(terminal)
            return last_states(received.decode("utf-8"))
        received += part


def last_states(text: str) -> str:
    """The lines of a terminal, each as it was written last."""
    lines = (
        line.rstrip("\r").rpartition("\r")[2] for line in text.replace("\x1b[A", "").split("\n")
    )
    return "\n".join(line.rstrip() for line in lines).strip("\n")


def record(pictures: Path, out: Path, folder: Path) -> None:
    """Run the commands in a folder and write the page."""
    labelled, new = make_pictures(pictures, folder)
    begun, sections = time.monotonic(), []
    for command in commands_of(PAGE):
        print(f"$ {command}", flush=True)
        printed = run_in_terminal(command, folder).replace(str(folder), "~")
        sections.append(f"```text\n$ {command}\n{printed}\n```\n")
    seconds = time.monotonic() - begun
    minutes = f"{seconds // 60:.0f} min {seconds % 60:.0f} s"
    header = HEADER.format(labelled=labelled, new=new, cores=os.cpu_count(), minutes=minutes)
    out.write_text(header + "\n".join(sections), encoding="utf-8")
    print(f"{out}: written after {minutes}")


def main() -> None:
    """Read the arguments and record the session."""
    parser = argparse.ArgumentParser(usage=(__doc__ or "").split("usage: ")[1])
    parser.add_argument("--pictures", type=Path, default=Path("/usr/share/openclipart/png"))
    parser.add_argument("--out", type=Path, default=ROOT / "docs/first-session.md")
    parser.add_argument("--work", type=Path)
    arguments = parser.parse_args()
    with contextlib.ExitStack() as stack:
        work = arguments.work or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        work.mkdir(parents=True, exist_ok=True)
        record(arguments.pictures, arguments.out.resolve(), work.resolve())


if __name__ == "__main__":
    main()
