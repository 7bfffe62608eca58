"""The configurations that come with the package, found by name: ``skirt`` for configs/skirt.yaml.

In a checkout they are the files of ``configs/``: ``fashionai/configs`` is a link to that folder,
and a built package holds the files themselves.
"""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path
from typing import Union

from fashionai.errors import ConfigError, nearest


def packaged_configs() -> dict[str, Path]:
    """Name and file of every packaged configuration, in the order of their names."""
    # A real folder always: MXNet's libraries cannot be loaded from a zip file either.
    folder = Path(str(files("fashionai") / "configs"))
    return {path.stem: path for path in sorted(folder.glob("*.yaml"))}


def find_config(path: Union[str, Path]) -> Path:
    """The file that a path or the name of a packaged configuration stands for.

    Text without a folder and without a suffix is a name, unless there is a file
    of that name; everything else is a path and is returned as it is. Raises
    ConfigError for an unknown name, and for a missing file that is called as a
    packaged configuration, unless others lie in its folder.
    """
    path = Path(path)
    packaged = packaged_configs()
    if path.is_file():
        return path
    if len(path.parts) == 1 and path.name in packaged:
        return packaged[path.name]
    if path.suffix or len(path.parts) != 1 or path.is_dir():
        if path.stem in packaged and not path.exists() and not any(path.parent.glob("*.yaml")):
            hint = f"The packaged configuration is called '{path.stem}'"
            raise ConfigError(f"{path}: no such file", hint)
        return path
    raise ConfigError(
        f"{path}: no such file, and no packaged configuration has this name",
        _hint_at_file(path.name) or nearest(path.name, packaged),
    )


def _hint_at_file(name: str) -> str:
    """A hint at somebody's own configuration of that name; init writes to the second place."""
    for path in (Path(f"{name}.yaml"), Path("configs", f"{name}.yaml")):
        if path.is_file():
            return f"Did you mean '{path}'?"
    return ""


def first_comment(path: Path) -> str:
    """The first line of a configuration's comment: what it is for."""
    with open(path, encoding="utf-8") as lines:
        return next(lines).lstrip("# ").rstrip()
