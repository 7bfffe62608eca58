"""The process of one part: ``python -m gpu_check.worker JOB``, where JOB is JSON.

MXNet cannot be imported here: training with PyTorch must not need it.
"""

from __future__ import annotations

import importlib
import importlib.util
import json
import logging
import math
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Optional

from gpu_check.kit import Kit
from gpu_check.plan import Plan

ABSENT = ("mxnet", "gluoncv")


@dataclass(frozen=True)
class Context:
    """What a part works with: the kit, the kind of device, earlier rows, its own settings."""

    kit: Kit
    plan: Plan
    device: str
    part: str
    rows_file: Path
    settings: dict[str, Any]

    def devices(self) -> list[Any]:
        """The one device to compute on. Raises InstallationError if it cannot be used."""
        from fashionai.frameworks.torch import torch_devices

        return torch_devices(self.device)[:1]

    @property
    def on_gpu(self) -> bool:
        """Whether a GPU computes."""
        return self.device == "gpu"

    def rows(self) -> list[dict[str, Any]]:
        """The rows so far."""
        return read_rows(self.rows_file)

    def add(
        self,
        name: str,
        value: Any = None,
        unit: str = "",
        *,
        passed: Optional[bool] = None,
        expected: str = "",
        note: str = "",
        **details: Any,
    ) -> None:
        """Add a row. ``passed`` is None for a value of which nothing is expected."""
        if isinstance(value, float) and not math.isfinite(value):
            value = str(value)  # JSON has no such numbers
        row = {
            "part": self.part,
            "name": name,
            "value": value,
            "unit": unit,
            "expected": expected,
            "passed": passed,
            "note": note,
            **details,
        }
        with open(self.rows_file, "a", encoding="utf-8") as handle:
            handle.write(json.dumps(row) + "\n")

    def job(self, **changes: Any) -> str:
        """The argument of another process with the same work, with other settings."""
        return json.dumps(
            {
                "kit": str(self.kit.folder),
                "device": self.device,
                "part": self.part,
                "rows": str(self.rows_file),
                "settings": self.settings,
                **changes,
            }
        )


def read_rows(file: Path) -> list[dict[str, Any]]:
    """The complete rows of a file, which a process may just be writing."""
    text = file.read_text(encoding="utf-8") if file.is_file() else ""
    return [json.loads(line) for line in text.splitlines(keepends=True) if line.endswith("\n")]


def use_packages(kit: Kit) -> None:
    """Let the kit's packages be found after the installed ones."""
    if kit.packages.is_dir() and importlib.util.find_spec("pydantic") is None:
        sys.path.append(str(kit.packages))


def main(argument: str) -> None:
    """Run a part."""
    for name in ABSENT:
        sys.modules[name] = None  # type: ignore[assignment]
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    job = json.loads(argument)
    kit = Kit(Path(job["kit"]))
    use_packages(kit)
    context = Context(
        kit, kit.plan(), job["device"], job["part"], Path(job["rows"]), job["settings"]
    )
    module = job["settings"].get("module", context.part)
    importlib.import_module(f"gpu_check.parts.{module}").run(context)


if __name__ == "__main__":
    main(sys.argv[1])
