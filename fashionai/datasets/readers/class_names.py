"""The classes of one's own images: their order, and what is odd about them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

from fashionai.errors import ConfigError, DataError


def order_classes(found: Iterable[str], given: Sequence[str], where: str) -> tuple[str, ...]:
    """The classes of a task: those given, else those found, sorted.

    Raises ConfigError for a class given twice and DataError for fewer than two classes.
    """
    doubled = next((name for name in given if given.count(name) > 1), None)
    if doubled is not None:
        raise ConfigError(f"classes: '{doubled}' is given twice")
    classes = tuple(given) or tuple(sorted(set(found)))
    if len(classes) < 2:
        raise DataError(f"{where}: found {_listed(classes)}, expected at least two classes")
    return classes


def notes_on_classes(classes: Sequence[str], used: Collection[int]) -> list[str]:
    """What is odd about classes: without images (not in ``used``), or alike but for capitals."""
    notes = []
    empty = [name for index, name in enumerate(classes) if index not in used]
    if empty:
        notes.append(f"no images of {_listed(empty)}")
    spellings: dict[str, str] = {}
    for name in classes:
        other = spellings.setdefault(name.lower(), name)
        if other != name:
            notes.append(f"classes '{other}' and '{name}' differ in capitals only")
    return notes


def _listed(names: Sequence[str]) -> str:
    if not names:
        return "no class"
    return ("class " if len(names) == 1 else "classes ") + ", ".join(f"'{n}'" for n in names)
