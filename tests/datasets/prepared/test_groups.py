"""Groups: records that are connected by content or group share a split and a fold."""

from __future__ import annotations

import contextlib
import csv
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fashionai.config import Config
from fashionai.config.sections import DataConfig
from fashionai.datasets.prepared.folders import read_split
from fashionai.datasets.prepared.folds import select_samples
from fashionai.datasets.prepared.prepare import prepare
from fashionai.datasets.prepared.split import join_groups, split_records
from fashionai.datasets.records import DataSet, LabelledImage
from fashionai.fold_plan import FoldSettings, plan_folds
from fashionai.tasks import Task
from tests.support.data_trees import put
from tests.support.images import encode

BIRDS = Task("birds", (), ("owl", "tit"), "table")
ROWS = 40


@contextlib.contextmanager
def quiet(description: str, total: int) -> Iterator[Callable[[int], None]]:
    yield lambda done: None


def components(contents: Sequence[str], groups: Sequence[str]) -> list[set[int]]:
    """The rows that each row is bound to, by walking from neighbour to neighbour."""
    found = []
    for start in range(len(contents)):
        reached, waiting = {start}, [start]
        while waiting:
            row = waiting.pop()
            for other in range(len(contents)):
                same_group = groups[row] != "" and groups[row] == groups[other]
                if other not in reached and (contents[row] == contents[other] or same_group):
                    reached.add(other)
                    waiting.append(other)
        found.append(reached)
    return found


@st.composite
def bound_rows(draw: st.DrawFn) -> tuple[list[str], list[str]]:
    """Contents and groups of up to 25 rows, with empty groups and names that both may have."""
    names = [str(number) for number in range(draw(st.integers(1, 12)))]
    pairs = st.tuples(st.sampled_from(names), st.sampled_from(["", "", *names]))
    rows = draw(st.lists(pairs, max_size=25))
    return [content for content, _ in rows], [group for _, group in rows]


@given(bound_rows())
def test_rows_have_one_name_exactly_where_a_chain_binds_them(rows) -> None:
    contents, groups = rows
    names = join_groups(contents, groups)
    for row, reached in enumerate(components(contents, groups)):
        assert {other for other, name in enumerate(names) if name == names[row]} == reached
        assert names[row] == contents[min(reached)]


@given(bound_rows(), st.sampled_from([0.1, 0.3, 0.5]), st.integers(0, 9))
def test_bound_rows_share_a_split(rows, fraction: float, seed: int) -> None:
    contents, groups = rows
    classes = [row % 2 for row in range(len(contents))]
    splits = split_records(classes, join_groups(contents, groups), fraction, seed).names
    for reached in components(contents, groups):
        assert len({splits[row] for row in reached}) == 1


def test_contents_and_groups_bind_in_turn() -> None:
    """Rows 0 and 1 by a group, 1 and 2 by their content, 2 and 3 by another group."""
    names = join_groups(["a", "b", "b", "c", "d"], ["g", "g", "h", "h", ""])
    assert names == ["a", "a", "a", "a", "d"]


def records(folder: Path, groups: Sequence[str]) -> list[LabelledImage]:
    rng = np.random.default_rng(0)
    return [
        LabelledImage(
            source=f"{row:02d}.jpg",
            path=put(folder / f"{row:02d}.jpg", encode(row % 2, rng)),
            content=None,
            class_index=row % 2,
            label=BIRDS.classes[row % 2],
            where=f"labels.csv:{row + 2}",
            group=group,
        )
        for row, group in enumerate(groups)
    ]


def table(path: Path) -> list[list[str]]:
    with open(path, newline="", encoding="utf-8") as handle:
        return list(csv.reader(handle))


@pytest.fixture
def nests() -> list[str]:
    """The group of each row: ten nests of three pictures, and ten pictures alone."""
    return [f"nest {row // 3}" if row < 30 else "" for row in range(ROWS)]


def prepare_birds(folder: Path, groups: Sequence[str], **options: object) -> Path:
    images = records(folder / "photos", groups)
    # A copy of a picture of nest 0 in nest 5: the two nests are bound.
    (folder / "photos/15.jpg").write_bytes((folder / "photos/00.jpg").read_bytes())
    prepare(DataSet(BIRDS, images, []), folder / "out", progress=quiet, **options)
    return folder / "out/birds"


def test_groups_stay_in_one_split_and_are_read_back(tmp_path: Path, nests: list[str]) -> None:
    folder = prepare_birds(tmp_path, nests, val_fraction=0.4)
    header, *rows = table(folder / "manifest.csv")
    assert header == ["split", "class_index", "class_name", "file", "source", "label", "group"]
    assert {row[4]: row[6] for row in rows} == {f"{n:02d}.jpg": g for n, g in enumerate(nests)}
    splits_of = defaultdict(set)
    for row in rows:
        splits_of[row[6]].add(row[0])
    assert splits_of.pop("") == {"train", "val"}
    assert all(len(splits) == 1 for splits in splits_of.values())
    assert splits_of["nest 0"] == splits_of["nest 5"]
    both = read_split(folder, "train", "val")
    assert both.groups == [row[6] for row in rows]
    assert both.sources == [row[4] for row in rows]
    part = select_samples(both, np.arange(ROWS) % 4 == 1)
    assert part.groups == both.groups[1::4]


def test_without_groups_the_manifest_has_no_such_column(tmp_path: Path) -> None:
    folder = prepare_birds(tmp_path, [""] * ROWS)
    assert table(folder / "manifest.csv")[0][-1] == "label"
    assert read_split(folder, "train", "val").groups == [""] * ROWS


def test_preparing_with_groups_anew_changes_the_manifest_alone(
    tmp_path: Path, nests: list[str]
) -> None:
    """Of the same split, here that of no validation, with the column or without."""
    folder = prepare_birds(tmp_path, [""] * ROWS, val_fraction=0)
    inodes = {path: path.stat().st_ino for path in folder.glob("train/*/*")}
    prepare_birds(tmp_path, nests, val_fraction=0)
    assert {path: path.stat().st_ino for path in folder.glob("train/*/*")} == inodes
    assert read_split(folder, "train").groups == nests


@pytest.mark.parametrize("by_content", [True, False])
def test_folds_keep_groups_together(tmp_path: Path, nests: list[str], by_content: bool) -> None:
    prepare_birds(tmp_path, nests)
    config = Config(task="birds", data=DataConfig(folder=str(tmp_path / "out")))
    settings = FoldSettings(folds=4, grouped_by_content=by_content)
    (split,), folds = plan_folds(config, settings, quiet)
    folds_of = defaultdict(set)
    for group, fold in zip(split.groups, folds.tolist()):
        folds_of[group].add(fold)
    assert folds_of.pop("") == {1, 2, 3, 4}
    assert len(folds_of) == 10
    assert all(len(found) == 1 for found in folds_of.values())
    if by_content:
        assert folds_of["nest 0"] == folds_of["nest 5"]
