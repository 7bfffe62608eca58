"""The formats of exports by name. Importing this module does not import MXNet."""

from __future__ import annotations

import pkgutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fashionai.export.agreement_check import Exported
    from fashionai.runs import Run

# The function that exports a run to each format, as ``module:function``. It takes a Run and the
# place to write to; its module is imported when it is first called.
FORMATS = {
    "onnx": "fashionai.export.onnx:export_onnx",
    "gluon": "fashionai.export.gluon:export_gluon",
    "safetensors": "fashionai.export.torch:export_safetensors",
    "bundle": "fashionai.bundles.write:export_bundle",
}


def export(run: Run, format_name: str, place: Path, **options: Any) -> Exported:
    """Write a run's network in one of FORMATS: to a folder, or as a file, which a bundle is.

    The files of an earlier export there are replaced, and no others. ``options`` are those of the
    format's function.

    Raises errors of the format's function.
    """
    exported: Exported = pkgutil.resolve_name(FORMATS[format_name])(run, place, **options)
    return exported
