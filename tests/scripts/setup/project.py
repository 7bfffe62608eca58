"""A project for setup.sh, with an interpreter that only notes what pip is told."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

from tests.support.commands import ROOT

TORCH = "2.13.0"

# Answers what setup.sh asks of a Python, and makes a .venv by copying itself there. NOTES is the
# file for pip's arguments; pip fails while a file FAIL exists, cv2's import while NO_DISPLAY does.
# LIBRARY_SAYS has the compute capabilities that the driver's library tells, VERSION the Python's.
FAKE_PYTHON = """\
#!/bin/bash
folder={folder}
case $* in
  *version_info*) cat "$folder/VERSION" ;;
  *realpath*) echo "$folder/python3" ;;
  *'version("opencv-python")'*) echo 4.11.0.86 ;;
  '-m venv '*) mkdir -p "$3/bin" && cp "$0" "$3/bin/python" ;;
  *cuDeviceGetAttribute*) cat "$folder/LIBRARY_SAYS" 2>/dev/null ;;
  '-m pip list'*) cat "$folder/INSTALLED" | sed 's/$/==1.0/' ;;
  '-m pip '*)
    echo "$*" | sed 's/^-m pip --disable-pip-version-check //' >>"$folder/NOTES"
    if [ -e "$folder/FAIL" ]; then cat "$folder/FAIL"; exit 1; fi
    case $* in *headless==*) rm -f "$folder/NO_DISPLAY" ;; esac ;;
  '-c import cv2')
    if [ -e "$folder/NO_DISPLAY" ]; then
      echo "ImportError: libGL.so.1: cannot open shared object file" >&2
      exit 1
    fi ;;
esac
"""

# The files CAPABILITIES and DRIVER have what nvidia-smi tells of each GPU. Without the first there
# is no driver; with an empty one nvidia-smi cannot tell, as before 2022.
FAKE_NVIDIA_SMI = """\
#!/bin/bash
folder={folder}
[ -e "$folder/CAPABILITIES" ] || exit 9
case $* in
  *compute_cap*)
    if [ ! -s "$folder/CAPABILITIES" ]; then echo 'Field "compute_cap" is not valid' && exit 2; fi
    cat "$folder/CAPABILITIES" ;;
  *driver_version*) cat "$folder/DRIVER" ;;
esac
"""


class Project:
    """A copy of what setup.sh needs, in a path with a space."""

    def __init__(self, folder: Path) -> None:
        self.home = folder / "fake python"
        self.root = folder / "a project"
        (self.root / "scripts").mkdir(parents=True)
        self.home.mkdir()
        (self.home / "INSTALLED").touch()
        (self.home / "VERSION").write_text("3.11\n")
        (self.home / "DRIVER").write_text("580.65.06\n")
        shutil.copy(ROOT / "scripts/setup.sh", self.root / "scripts")
        shutil.copy(ROOT / "pyproject.toml", self.root)
        self.write_program("python3", FAKE_PYTHON)
        self.write_program("nvidia-smi", FAKE_NVIDIA_SMI)
        self.write_program("ldconfig", "#!/bin/sh\n")

    def write_program(self, name: str, text: str) -> None:
        """A program that setup.sh finds before the machine's own."""
        program = self.home / name
        program.write_text(text.replace("{folder}", f"'{self.home}'"))
        program.chmod(0o755)

    def have_gpus(self, *capabilities: str) -> None:
        """Make nvidia-smi tell these compute capabilities."""
        (self.home / "CAPABILITIES").write_text("".join(f"{gpu}\n" for gpu in capabilities))

    def setup(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Call setup.sh from another directory."""
        return subprocess.run(
            [str(self.root / "scripts/setup.sh"), *arguments],
            cwd=self.home,
            env={
                **os.environ,
                "PATH": f"{self.home}:{os.environ['PATH']}",
                "PYTHON": str(self.home / "python3"),
                **environment,
            },
            capture_output=True,
            text=True,
            timeout=60,
        )

    def notes(self) -> list[str]:
        """What pip was told since the last call of this."""
        notes = self.home / "NOTES"
        if not notes.exists():
            return []
        lines = notes.read_text().splitlines()
        notes.unlink()
        return lines

    def install(self, extras: str, torch: str = TORCH) -> str:
        """What pip is told to install these extras; ``torch`` is the version of PyTorch."""
        pinned = f" torch=={torch}" if "torch" in extras else ""
        return f"install --editable {self.root}[{extras}]{pinned}"
