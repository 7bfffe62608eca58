"""What of the optional packages is installed."""

from __future__ import annotations

import pytest

from fashionai.engines.registry import ENGINES, EXACT_ENGINES
from fashionai.frameworks.torch import has_torch

needs_torch = pytest.mark.skipif(not has_torch(), reason="PyTorch is not installed")
# The engines that can be opened here.
OPENED = [name for name in ENGINES if name != "torch" or has_torch()]
MEASURED = {name for name in EXACT_ENGINES if name in OPENED}
