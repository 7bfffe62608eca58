"""The classes of the user's own images: their names, their order, and notes on unusual ones."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence
from decimal import Decimal

from fashionai.errors import ConfigError, DataError, closest, nearest, shown
from fashionai.files.names import comparable

NUMBER = re.compile(r"[-+]?[0-9]{1,18}(\.[0-9]{1,18})?")
# A whole number as programs write it that know no other numbers, such as 2.000000.
WHOLE_AS_FLOAT = re.compile(r"([-+]?[0-9]{1,18})\.0+")
# How tables write that a value is missing, in lower case.
MISSING_VALUES = ("nan", "na", "n/a", "none", "null")


def names_of_classes(labels: Iterable[str], given: Sequence[str] = ()) -> dict[str, str]:
    """Return the name of the class that each label stands for.

    Blanks at both ends and decomposed letters make no difference. Where all labels are whole
    numbers, 2.000000 stands for class 2, unless the ``given`` classes are written like that.
    """
    names = {label: comparable(label) for label in labels}
    whole = {label: _whole_number(name) for label, name in names.items()}
    if "" in whole.values() or set(names.values()) <= set(given):
        return names
    return whole


def _whole_number(name: str) -> str:
    """Return a whole number without decimals; "" for any other text."""
    as_float = WHOLE_AS_FLOAT.fullmatch(name)
    if as_float:
        return as_float[1]
    return name if NUMBER.fullmatch(name) and "." not in name else ""


def hint_at_given_class(label: str, given: Sequence[str], found: Collection[str]) -> str:
    """The hint for a label that is not one of the given classes.

    The typing error may be in the label or in the given classes. It is in the given classes when
    the most similar of them is not among the labels that are ``found``.
    """
    meant = closest(label, given)
    if meant is None or meant in found:
        return nearest(label, given)
    return f"If '{meant}' among them is a typing error, write '{label}'"


def sorted_classes(names: Iterable[str]) -> list[str]:
    """Return the names in the order of their numbers, if all are numbers, else of their letters."""
    distinct = set(names)
    if all(NUMBER.fullmatch(name) for name in distinct):
        return sorted(distinct, key=lambda name: (Decimal(name), name))
    return sorted(distinct)


def order_classes(found: Iterable[str], given: Sequence[str], where: str) -> tuple[str, ...]:
    """Return the given classes in their order or, without any, those of sorted_classes.

    Raises ConfigError when a class is given twice, and DataError, with ``where``, for fewer
    than two classes and for names that are empty or have line breaks, which prediction files and
    tables do not show.
    """
    doubled = next((name for name in given if given.count(name) > 1), None)
    if doubled is not None:
        raise ConfigError(f"classes: '{doubled}' is given twice")
    classes = tuple(given) or tuple(sorted_classes(found))
    if len(classes) < 2:
        raise DataError(f"{where}: found {_listed(classes)}, expected at least two classes")
    for name in classes:
        if not name:
            raise DataError(f"{where}: found a class with only blanks for a name, expected a name")
        if len(name.splitlines()) > 1:
            raise DataError(f"{where}: found class '{shown(name)}', expected a name on one line")
    return classes


def notes_on_classes(classes: Sequence[str]) -> list[str]:
    """Return notes on unusual names of classes.

    They are names that differ only in letter case, numbers that are equal, and names that often
    mean a missing value.
    """
    notes = []
    first_spellings: dict[str, str] = {}
    first_numbers: dict[Decimal, str] = {}
    for name in classes:
        other = first_spellings.setdefault(name.lower(), name)
        if other != name:
            notes.append(f"classes '{other}' and '{name}' differ only in letter case")
        if NUMBER.fullmatch(name):
            other = first_numbers.setdefault(Decimal(name), name)
            if other != name:
                notes.append(f"classes '{other}' and '{name}' are the same number")
        if name.lower() in MISSING_VALUES:
            notes.append(f"class '{name}' is a class like any other, not a missing label")
    return notes


def _listed(names: Sequence[str]) -> str:
    if not names:
        return "no class"
    return ("class " if len(names) == 1 else "classes ") + ", ".join(f"'{shown(n)}'" for n in names)
