"""Splitting into train and validation: stratified, seeded, disjoint by content."""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import NamedTuple


class Split(NamedTuple):
    """Split names in row order, and the classes that are not in both."""

    names: list[str]
    unsplit_classes: list[int]


def split_records(
    class_indices: Sequence[int], contents: Sequence[str], val_fraction: float, seed: int
) -> Split:
    """Choose ``train`` or ``val`` for every row.

    Each class gives ``round(rows * val_fraction)`` of its rows to val, at least
    one and never all where it has two contents to choose from. Rows of equal content stay
    together; such a group belongs to the class of its first row. The order of
    choice is a hash of seed and content, so that neither the order of rows nor
    rows of other classes matter. A class with a single content cannot be split:
    it goes to train. It is reported, and so is one whose rows are all bound to
    rows of others on one side.
    """
    groups_by_class: dict[int, list[list[int]]] = defaultdict(list)
    for rows in group_by_content(contents, seed):
        groups_by_class[class_indices[rows[0]]].append(rows)

    names = ["train"] * len(contents)
    for class_groups in groups_by_class.values():
        for row in _choose(class_groups, val_fraction):
            names[row] = "val"
    sides = Counter(index for index, _ in set(zip(class_indices, names)))
    unsplit = [index for index, count in sorted(sides.items()) if count < 2 and val_fraction > 0]
    return Split(names, unsplit)


def join_groups(contents: Sequence[str], groups: Sequence[str]) -> list[str]:
    """A name for every row, equal for rows that equal content or a shared group binds together.

    It is the content of the first row so bound; an empty group binds nothing.
    """
    first: dict[tuple[str, str], int] = {}
    leader = list(range(len(contents)))

    def find(row: int) -> int:
        while leader[row] != row:
            leader[row] = leader[leader[row]]
            row = leader[row]
        return row

    for row, (content, group) in enumerate(zip(contents, groups)):
        for key in (("content", content), ("group", group)):
            if key[1]:
                one, other = find(first.setdefault(key, row)), find(row)
                leader[max(one, other)] = min(one, other)
    return [contents[find(row)] for row in range(len(contents))]


def group_by_content(contents: Sequence[str], seed: int) -> list[list[int]]:
    """Rows of equal content together, the groups in an order that seed and content decide."""
    groups: dict[str, list[int]] = defaultdict(list)
    for row, content in enumerate(contents):
        groups[content].append(row)
    return [rows for _, rows in sorted(groups.items(), key=lambda item: _rank(item[0], seed))]


def _choose(groups: list[list[int]], val_fraction: float) -> list[int]:
    """Rows for validation: whole groups in order, as long as they fit the quota."""
    total = sum(len(rows) for rows in groups)
    quota = max(1, round(total * val_fraction)) if val_fraction > 0 else 0
    chosen: list[int] = []
    for rows in groups[:-1]:  # the last stays in train, whatever the fraction
        if len(chosen) + len(rows) <= quota:
            chosen += rows
    if not chosen and quota and len(groups) > 1:
        smallest = min(groups, key=len)
        chosen += smallest
    return chosen


def _rank(content: str, seed: int) -> str:
    return hashlib.sha256(f"{seed}:{content}".encode()).hexdigest()
