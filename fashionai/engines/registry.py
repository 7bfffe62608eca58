"""The engines by name. Importing this module imports neither an engine nor MXNet.

To add an engine, write a module with a function that opens it, and add one entry to ENGINES.
"""

from __future__ import annotations

from typing import NamedTuple


class EngineEntry(NamedTuple):
    """How to open an engine, and what can be expected of it.

    ``opener`` is ``module:function``; the module is imported when the engine is first opened.
    The function takes a Run and a list of MXNet contexts and returns an Engine, see
    fashionai.engines.protocol. The probabilities of an exact engine equal those of gluon up to
    rounding.
    """

    opener: str
    is_exact: bool = True
    cpu_only: bool = True


ENGINES = {
    "gluon": EngineEntry("fashionai.engines.gluon:open_gluon", cpu_only=False),
    "fused": EngineEntry("fashionai.engines.fused:open_fused"),
    "onnx": EngineEntry("fashionai.engines.onnx_runtime:open_onnx"),
    "torch": EngineEntry("fashionai.engines.torch_opening:open_torch", cpu_only=False),
    "int8": EngineEntry("fashionai.engines.int8.engine:open_int8", is_exact=False),
}
EXACT_ENGINES = tuple(name for name, entry in ENGINES.items() if entry.is_exact)
# Stands for the fastest exact engine, see fashionai.engines.choice.
AUTO = "auto"


def framework_of(engine: str) -> str:
    """The framework whose devices an engine needs: ``torch``, ``gluon`` or, for AUTO, either."""
    return engine if engine in (AUTO, "torch") else "gluon"


def engines_on(device_type: str) -> list[str]:
    """The names of the engines that run on a type of device, ``cpu`` or ``gpu``."""
    return [name for name, entry in ENGINES.items() if device_type == "cpu" or not entry.cpu_only]
