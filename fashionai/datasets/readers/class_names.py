"""The classes of the user's own images: their order, and notes on unusual ones."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

from fashionai.errors import ConfigError, DataError


def order_classes(found: Iterable[str], given: Sequence[str], where: str) -> tuple[str, ...]:
    """Return the given classes in their order or, without any, the found classes sorted.

    Raises ConfigError when a class is given twice, and DataError, with ``where``, for fewer
    than two classes.
    """
    doubled = next((name for name in given if given.count(name) > 1), None)
    if doubled is not None:
        raise ConfigError(f"classes: '{doubled}' is given twice")
    classes = tuple(given) or tuple(sorted(set(found)))
    if len(classes) < 2:
        raise DataError(f"{where}: found {_listed(classes)}, expected at least two classes")
    return classes


def notes_on_classes(classes: Sequence[str], used: Collection[int]) -> list[str]:
    """Return notes on classes without images and on names that differ only in letter case.

    ``used`` holds the indices of the classes that have images.
    """
    notes = []
    empty = [name for index, name in enumerate(classes) if index not in used]
    if empty:
        notes.append(f"no images of {_listed(empty)}")
    first_spellings: dict[str, str] = {}
    for name in classes:
        other = first_spellings.setdefault(name.lower(), name)
        if other != name:
            notes.append(f"classes '{other}' and '{name}' differ only in letter case")
    return notes


def _listed(names: Sequence[str]) -> str:
    if not names:
        return "no class"
    return ("class " if len(names) == 1 else "classes ") + ", ".join(f"'{n}'" for n in names)
