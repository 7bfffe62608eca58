"""Splits: stratified, seeded, disjoint by content, whatever the rows."""

from __future__ import annotations

from collections import Counter, defaultdict

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fashionai.datasets.prepared.split import Split, split_records

FRACTIONS = st.sampled_from([0.05, 0.1, 0.2, 0.5, 0.75, 0.9, 0.99])
SEEDS = st.integers(0, 2**31 - 1)


@st.composite
def rows(draw: st.DrawFn, distinct: bool) -> tuple[list[int], list[str]]:
    """Class indices and contents; the contents of a class are its own."""
    sizes = draw(st.lists(st.integers(1, 40), min_size=1, max_size=4))
    classes = [index for index, size in enumerate(sizes) for _ in range(size)]
    contents = [f"{cls}-{row}" for row, cls in enumerate(classes)]
    if not distinct:
        picks = draw(st.lists(st.integers(0, 9), min_size=len(classes), max_size=len(classes)))
        contents = [f"{cls}-{pick}" for cls, pick in zip(classes, picks)]
    return classes, contents


def val_counts(classes: list[int], split: Split) -> Counter[int]:
    return Counter(cls for cls, name in zip(classes, split.names) if name == "val")


@given(rows(distinct=True), FRACTIONS, SEEDS)
def test_distinct_contents_split_within_one_row_of_the_fraction(table, fraction, seed) -> None:
    classes, contents = table
    split = split_records(classes, contents, fraction, seed)
    found = val_counts(classes, split)
    for cls, size in Counter(classes).items():
        if size == 1:
            assert found[cls] == 0
            assert cls in split.unsplit_classes
        else:
            assert abs(found[cls] - size * fraction) <= 1
            assert 1 <= found[cls] < size
            assert cls not in split.unsplit_classes


@settings(max_examples=200)
@given(rows(distinct=False), FRACTIONS, SEEDS)
def test_equal_contents_are_together_and_no_class_leaves_a_split_empty(
    table, fraction, seed
) -> None:
    classes, contents = table
    split = split_records(classes, contents, fraction, seed)
    assert len(split.names) == len(classes)
    assert set(split.names) <= {"train", "val"}
    sides = defaultdict(set)
    for content, name in zip(contents, split.names):
        sides[content].add(name)
    assert all(len(names) == 1 for names in sides.values())
    for cls in set(classes):
        own = {name for c, name in zip(classes, split.names) if c == cls}
        single = len({content for c, content in zip(classes, contents) if c == cls}) == 1
        assert own == ({"train"} if single else {"train", "val"})
        assert (cls in split.unsplit_classes) == single


@given(rows(distinct=False), FRACTIONS, SEEDS, st.randoms(use_true_random=False))
def test_the_order_of_rows_does_not_matter(table, fraction, seed, random) -> None:
    classes, contents = table
    order = list(range(len(classes)))
    random.shuffle(order)
    before = split_records(classes, contents, fraction, seed)
    after = split_records(
        [classes[row] for row in order], [contents[row] for row in order], fraction, seed
    )
    assert after.names == [before.names[row] for row in order]
    assert after.unsplit_classes == before.unsplit_classes


@given(rows(distinct=False), st.integers(1, 30), FRACTIONS, SEEDS)
def test_more_rows_of_one_class_leave_the_others_alone(table, more, fraction, seed) -> None:
    classes, contents = table
    before = split_records(classes, contents, fraction, seed).names
    after = split_records(
        classes + [0] * more, contents + [f"new-{n}" for n in range(more)], fraction, seed
    ).names
    for cls, one, other in zip(classes, before, after):
        if cls != 0:
            assert one == other


@given(rows(distinct=False), FRACTIONS, SEEDS)
def test_the_same_seed_gives_the_same_split(table, fraction, seed) -> None:
    assert split_records(*table, fraction, seed) == split_records(*table, fraction, seed)


def test_another_seed_gives_another_split() -> None:
    classes, contents = [0] * 100, [str(row) for row in range(100)]
    splits = {tuple(split_records(classes, contents, 0.1, seed).names) for seed in range(5)}
    assert len(splits) == 5


def test_a_fraction_of_zero_is_all_train_and_reports_nothing() -> None:
    split = split_records([0, 0, 1], ["a", "b", "c"], 0, 0)
    assert split == Split(["train"] * 3, [])


@pytest.mark.parametrize("fraction", [0.1, 0.9])
def test_a_class_with_one_content_is_reported_and_trained_on(fraction: float) -> None:
    split = split_records([0, 0, 0, 1, 1], ["a", "a", "a", "b", "c"], fraction, 0)
    assert split.names[:3] == ["train"] * 3
    assert sorted(split.names[3:]) == ["train", "val"]
    assert split.unsplit_classes == [0]


def test_a_class_that_others_take_to_one_side_is_reported() -> None:
    """Class 1 is in groups of class 0 alone."""
    assert split_records([0, 1, 1], ["a", "a", "a"], 0.5, 0) == Split(["train"] * 3, [0, 1])
    sides = set()
    for seed in range(20):
        split = split_records([0, 0, 1, 1], ["a", "b", "b", "b"], 0.9, seed)
        assert split.unsplit_classes == [1]
        sides.add(split.names[2])
    assert sides == {"train", "val"}


def test_equal_contents_of_different_classes_are_together() -> None:
    classes, contents = [0, 1] * 20, [f"{row // 2}" for row in range(40)]
    names = split_records(classes, contents, 0.2, 3).names
    assert names[::2] == names[1::2]
    assert "val" in names


def test_classes_are_drawn_from_evenly_over_seeds() -> None:
    """Every row gets its turn in validation: 200 seeds, 20 rows, a tenth each."""
    contents = [str(row) for row in range(20)]
    turns = Counter(
        row
        for seed in range(200)
        for row, name in enumerate(split_records([0] * 20, contents, 0.1, seed).names)
        if name == "val"
    )
    assert sum(turns.values()) == 400
    # Binomial(200, 0.1): 20 on average, standard deviation 4.2.
    assert all(2 <= turns[row] <= 42 for row in range(20))
