"""The configurations that come with the package, found by name: ``skirt`` for configs/skirt.yaml.

In a checkout they are the files of ``configs/``: ``fashionai/configs`` is a link to that folder,
and a built package holds the files themselves.
"""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

from fashionai.errors import ConfigError, closest, nearest
from fashionai.files.paths import PathLike


def packaged_configs() -> dict[str, Path]:
    """Name and file of every packaged configuration, in the order of their names."""
    # The package is never in a zip file, because MXNet cannot be loaded from one.
    folder = Path(str(files("fashionai") / "configs"))
    return {path.stem: path for path in sorted(folder.glob("*.yaml"))}


def find_config(path: PathLike) -> Path:
    """The file of a path, or of the name of a packaged configuration.

    A text without a folder and without a suffix is a name, unless there is a file of that
    name. Everything else is a path and is returned unchanged. Raises ConfigError for an
    unknown name, and for a missing file that has the name of a packaged configuration.
    """
    path = Path(path)
    packaged = packaged_configs()
    if path.is_file():
        return path
    if len(path.parts) == 1 and path.name in packaged:
        return packaged[path.name]
    if path.suffix or len(path.parts) != 1 or path.is_dir():
        if path.stem in packaged and not path.exists():
            hint = f"The packaged configuration is called '{path.stem}'"
            similar = closest(path.name, [each.name for each in path.parent.glob("*.yaml")])
            if similar is not None:
                near = path.with_name(similar)
                hint = f"Did you mean '{near}', or the packaged configuration '{path.stem}'?"
            raise ConfigError(f"{path}: no such file", hint)
        return path
    raise ConfigError(
        f"{path}: no such file, and no packaged configuration has this name",
        _hint_at_file(path.name) or nearest(path.name, packaged),
    )


def _hint_at_file(name: str) -> str:
    """A hint at a configuration of that name in the current folder or where init writes."""
    for path in (Path(f"{name}.yaml"), Path("configs", f"{name}.yaml")):
        if path.is_file():
            return f"Did you mean '{path}'?"
    return ""


def first_comment(path: Path) -> str:
    """The first line of a configuration's comment: what it is for."""
    with open(path, encoding="utf-8") as lines:
        return next(lines).lstrip("# ").rstrip()
