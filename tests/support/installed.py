"""What of the optional packages is installed."""

from __future__ import annotations

import os
import shutil
import sysconfig
from pathlib import Path

import pytest

from fashionai.engines.registry import ENGINES, EXACT_ENGINES
from fashionai.frameworks.torch import has_torch

needs_torch = pytest.mark.skipif(not has_torch(), reason="PyTorch is not installed")
# The engines that can be opened here.
OPENED = [name for name in ENGINES if name != "torch" or has_torch()]
MEASURED = {name for name in EXACT_ENGINES if name in OPENED}


def can_compile() -> bool:
    """Whether there is what torch.compile needs on the CPU: a C++ compiler and Python's headers."""
    compiler = shutil.which(os.environ.get("CXX", "g++"))
    headers = Path(sysconfig.get_paths()["include"]) / "Python.h"
    return compiler is not None and headers.is_file()
