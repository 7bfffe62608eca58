"""The split into train and val: stratified by class, seeded, and disjoint by content.

Records are given as two sequences: the class of each record and its content, which is a name
that only records with equal bytes (or of one group, see join_groups) share.
"""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import NamedTuple


class Split(NamedTuple):
    """The split name of each record, and the classes that are in only one of train and val."""

    names: list[str]
    unsplit_classes: list[int]


def split_records(
    class_indices: Sequence[int], contents: Sequence[str], val_fraction: float, seed: int
) -> Split:
    """Choose ``train`` or ``val`` for every record; ``val_fraction`` is in [0, 1).

    ``round(records * val_fraction)`` records of each class go to val: at least one and never
    all, if the class has two contents or more. Records of equal content stay together and
    count for the class of their first record. A hash of seed and content decides which are
    chosen, so neither the order of the records nor the records of other classes matter. A class
    with one content goes to train. ``unsplit_classes`` lists such classes, and those whose
    records all share a split because of the groups that they belong to.
    """
    groups_by_class: dict[int, list[list[int]]] = defaultdict(list)
    for group in group_by_content(contents, seed):
        groups_by_class[class_indices[group[0]]].append(group)

    names = ["train"] * len(contents)
    for class_groups in groups_by_class.values():
        for record in _choose(class_groups, val_fraction):
            names[record] = "val"
    if val_fraction <= 0:
        return Split(names, [])
    splits_of_class = Counter(index for index, _ in set(zip(class_indices, names)))
    unsplit = [index for index, count in sorted(splits_of_class.items()) if count < 2]
    return Split(names, unsplit)


def join_groups(contents: Sequence[str], groups: Sequence[str]) -> list[str]:
    """Return a content for every record that all records connected with it share.

    Records are connected by equal content or by a group that is not empty, directly or through
    other records (a union-find). The result is the content of the first connected record.
    """
    first: dict[tuple[str, str], int] = {}
    leader = list(range(len(contents)))

    def find(record: int) -> int:
        while leader[record] != record:
            leader[record] = leader[leader[record]]
            record = leader[record]
        return record

    for record, (content, group) in enumerate(zip(contents, groups)):
        for key in (("content", content), ("group", group)):
            if key[1]:
                one, other = find(first.setdefault(key, record)), find(record)
                leader[max(one, other)] = min(one, other)
    return [contents[find(record)] for record in range(len(contents))]


def group_by_content(contents: Sequence[str], seed: int) -> list[list[int]]:
    """Return the positions of equal contents as groups, sorted by a hash of seed and content."""
    groups: dict[str, list[int]] = defaultdict(list)
    for position, content in enumerate(contents):
        groups[content].append(position)
    return [groups[content] for content in sorted(groups, key=lambda each: _rank(each, seed))]


def _choose(groups: list[list[int]], val_fraction: float) -> list[int]:
    """Return the records for val: whole groups in order, as long as they fit the quota.

    If no group fits, it is the smallest one. A single group is never chosen.
    """
    total = sum(len(group) for group in groups)
    quota = max(1, round(total * val_fraction)) if val_fraction > 0 else 0
    chosen: list[int] = []
    for group in groups[:-1]:  # the last group stays in train, whatever the fraction
        if len(chosen) + len(group) <= quota:
            chosen += group
    if not chosen and quota and len(groups) > 1:
        smallest = min(groups, key=len)
        chosen += smallest
    return chosen


def _rank(content: str, seed: int) -> str:
    return hashlib.sha256(f"{seed}:{content}".encode()).hexdigest()
