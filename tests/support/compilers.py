"""Whether torch.compile can be tested here."""

from __future__ import annotations

import os
import shutil
import sys
import sysconfig
from pathlib import Path


def can_compile() -> bool:
    """Whether there is what torch.compile needs on the CPU: a C++ compiler and Python's headers.

    The compiler is the one that PyTorch calls.
    """
    usual = "clang++" if sys.platform == "darwin" else "g++"
    compiler = shutil.which(os.environ.get("CXX", usual))
    headers = Path(sysconfig.get_paths()["include"]) / "Python.h"
    return compiler is not None and headers.is_file()
