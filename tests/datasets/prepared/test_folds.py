"""Folds: disjoint, balanced by class and by content; folds of another preparation are refused."""

from __future__ import annotations

from collections import Counter, defaultdict
from pathlib import Path
from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fashionai.config import Config
from fashionai.config.sections import DataConfig
from fashionai.datasets.prepared.folders import PreparedSplit, read_split
from fashionai.datasets.prepared.folds import assign_folds, read_folds, select_samples, write_folds
from fashionai.datasets.prepared.samples import read_samples
from fashionai.errors import DataError

classes_of_rows = st.lists(st.integers(0, 4), min_size=1, max_size=60)
fold_counts = st.integers(2, 7)
seeds = st.integers(0, 3)


@st.composite
def groups_of_copies(draw: st.DrawFn) -> tuple[list[int], list[str]]:
    """Classes and contents of rows, where some rows are copies of others of their class."""
    groups = draw(
        st.lists(st.tuples(st.integers(0, 3), st.sampled_from([1, 1, 1, 2, 3, 6])), min_size=1)
    )
    rows = [(c, f"image {at}") for at, (c, size) in enumerate(groups) for _ in range(size)]
    rows = draw(st.permutations(rows))
    return [c for c, _ in rows], [content for _, content in rows]


def distinct(count: int) -> list[str]:
    return [f"image {row}" for row in range(count)]


def spread(folds: np.ndarray, count: int) -> int:
    """The number of samples in the largest fold minus that in the smallest."""
    sizes = [int((folds == fold).sum()) for fold in range(1, count + 1)]
    return max(sizes) - min(sizes)


@given(classes_of_rows, fold_counts, seeds)
def test_distinct_rows_are_even_by_class_and_in_all(
    classes: list[int], count: int, seed: int
) -> None:
    """Classes smaller than the number of folds included: they differ by the one row they have."""
    folds = assign_folds(classes, distinct(len(classes)), count, seed)
    assert folds.shape == (len(classes),)
    assert set(folds) <= set(range(1, count + 1))
    for index in set(classes):
        assert spread(folds[np.array(classes) == index], count) <= 1
    assert spread(folds, count) <= 1


@given(groups_of_copies(), fold_counts, seeds)
def test_copies_share_a_fold_and_single_rows_even_them_out(
    rows: tuple[list[int], list[str]], count: int, seed: int
) -> None:
    classes, contents = rows
    folds = assign_folds(classes, contents, count, seed)
    fold_of: dict[str, set[int]] = defaultdict(set)
    for content, fold in zip(contents, folds):
        fold_of[content].add(int(fold))
    assert all(len(found) == 1 for found in fold_of.values())
    sizes = Counter(contents)
    for index in set(classes):
        mine = np.array(classes) == index
        single = np.array([sizes[content] == 1 for content in contents])
        copies = [int((mine & ~single & (folds == fold)).sum()) for fold in range(1, count + 1)]
        needed = sum(max(copies) - 1 - number for number in copies if number < max(copies))
        if (mine & single).sum() >= needed:
            assert spread(folds[mine], count) <= 1


@given(groups_of_copies(), fold_counts, seeds, st.randoms())
def test_the_order_of_rows_does_not_matter(
    rows: tuple[list[int], list[str]], count: int, seed: int, random: Random
) -> None:
    classes, contents = rows
    # Copies that carry different classes, too.
    classes = [(c + row) % 4 for row, c in enumerate(classes)]
    shuffled = list(range(len(classes)))
    random.shuffle(shuffled)
    straight = dict(zip(contents, assign_folds(classes, contents, count, seed)))
    other = assign_folds(
        [classes[row] for row in shuffled], [contents[row] for row in shuffled], count, seed
    )
    assert dict(zip((contents[row] for row in shuffled), other)) == straight


@settings(max_examples=20)
@given(st.integers(20, 60), fold_counts)
def test_the_seed_changes_the_folds_and_nothing_else_does(rows: int, count: int) -> None:
    classes = [row % 2 for row in range(rows)]
    first = assign_folds(classes, distinct(rows), count, 0)
    assert np.array_equal(first, assign_folds(classes, distinct(rows), count, 0))
    assert not np.array_equal(first, assign_folds(classes, distinct(rows), count, 1))


@given(groups_of_copies(), fold_counts)
def test_a_group_of_conflicting_labels_stays_together(
    rows: tuple[list[int], list[str]], count: int
) -> None:
    _, contents = rows
    folds = assign_folds([row % 4 for row in range(len(contents))], contents, count, 0)
    assert len(set(zip(contents, folds.tolist()))) == len(set(contents))


def test_large_groups_do_not_meet_in_one_fold() -> None:
    contents = [name for name in "abcd" for _ in range(10)] + distinct(4)
    folds = assign_folds([0] * 44, contents, 4, 0)
    assert [int((folds == fold).sum()) for fold in (1, 2, 3, 4)] == [11] * 4


@pytest.fixture
def prepared(prepared_pair: Path) -> Path:
    """A folder data/train_valid with 48 images of skirts."""
    return prepared_pair / "data/train_valid"


def read_all(prepared: Path) -> PreparedSplit:
    return read_split(prepared / "skirt_length_labels", "train", "val")


def config_of(prepared: Path, file: Path, fold: int) -> Config:
    data = DataConfig(folder=str(prepared), folds_file=str(file), fold=fold)
    return Config(task="skirt", data=data)


def test_what_is_written_is_read_back_whatever_its_order(prepared: Path, tmp_path: Path) -> None:
    split = read_all(prepared)
    folds = np.arange(48) % 5 + 1
    write_folds(tmp_path / "folds.csv", [split], folds)
    header, *lines = (tmp_path / "folds.csv").read_text().splitlines()
    assert header == "task,file,fold"
    assert lines[0] == f"skirt_length_labels,{split.paths[0].name},1"
    assert len(lines) == 48
    # Rows of another task are ignored.
    other = "pant_length_labels,other.jpg,9"
    (tmp_path / "folds.csv").write_text("\n".join([header, other, *reversed(lines)]))
    assert read_folds(tmp_path / "folds.csv", split).tolist() == folds.tolist()


def test_chosen_rows_keep_their_marks_and_sources(prepared: Path) -> None:
    split = read_all(prepared)
    chosen = np.arange(48) % 3 == 1
    part = select_samples(split, chosen)
    assert part.paths == split.paths[1::3]
    assert part.sources == split.sources[1::3]
    assert np.array_equal(part.marks, split.marks[1::3])


def test_a_fold_is_held_out_and_all_others_train(prepared: Path, tmp_path: Path) -> None:
    split = read_all(prepared)
    write_folds(tmp_path / "folds.csv", [split], np.arange(48) % 4 + 1)
    held_out = []
    for fold in (1, 2, 3, 4):
        config = config_of(prepared, tmp_path / "folds.csv", fold)
        val, train = read_samples(config, "val").paths, read_samples(config, "train").paths
        assert val == split.paths[fold - 1 :: 4]
        assert sorted(train + val) == sorted(split.paths)
        held_out += val
    assert sorted(held_out) == sorted(split.paths)


@pytest.mark.parametrize(("fold", "place"), [(3, "in"), (1, "outside")])
def test_a_fold_of_nothing_or_of_everything_is_refused(
    prepared: Path, tmp_path: Path, fold: int, place: str
) -> None:
    file = tmp_path / "folds.csv"
    write_folds(file, [read_all(prepared)], np.full(48, 1))
    for split in ("train", "val"):
        with pytest.raises(DataError) as caught:
            read_samples(config_of(prepared, file, fold), split)
        assert str(caught.value) == (
            f"{file}: skirt_length_labels has no images {place} fold {fold}, found folds 1"
        )


@pytest.mark.parametrize(
    ("line", "text", "message"),
    [
        (1, "task,image,fold", ":1: found columns 'task,image,fold', expected task,file,fold"),
        (1, "", ":1: found columns 'skirt_length_labels,{first},1', expected task,file,fold"),
        (2, "skirt_length_labels,{first},0", ":2: fold is '0', expected a number from 1"),
        (2, "skirt_length_labels,{first},-1", ":2: fold is '-1', expected"),
        (2, "skirt_length_labels,{first},one", ":2: fold is 'one', expected"),
        (2, "skirt_length_labels,{first}", ":2: found 'skirt_length_labels,{first}'"),
        (3, "skirt_length_labels,{first},2", ":3: {first} is listed twice"),
        (2, "", ": skirt_length_labels: {first} has no fold. The folder was prepared again"),
        (
            2,
            "skirt_length_labels,a.jpg,1\nskirt_length_labels,{first},1",
            ": skirt_length_labels: a.jpg is not among the prepared images. The folder was",
        ),
    ],
)
def test_files_that_do_not_fit_are_refused_with_their_line(
    prepared: Path, tmp_path: Path, line: int, text: str, message: str
) -> None:
    split = read_all(prepared)
    file, first = tmp_path / "folds.csv", split.paths[0].name
    write_folds(file, [split], np.ones(48, int))
    lines = file.read_text().splitlines()
    lines[line - 1] = text.format(first=first)
    file.write_text("\n".join(lines).lstrip("\n"))
    with pytest.raises(DataError) as caught:
        read_folds(file, split)
    assert str(caught.value).startswith(f"{file}{message.format(first=first)}")


def test_a_missing_file_is_named(prepared: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"folds\.csv: no such file"):
        read_folds(tmp_path / "folds.csv", read_all(prepared))
