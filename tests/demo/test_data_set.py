"""The demo data set: reproducible, in the competition's shape, and not solved by colour."""

from __future__ import annotations

import re
from pathlib import Path

import cv2
import numpy as np
import pytest

from fashionai.demo.data_set import DEMO_TASKS, write_demo
from fashionai.demo.garments import BANDS
from fashionai.families import find_task

TRAIN, TEST = 240, 40
LABELS = "base/Annotations/label.csv"
QUESTIONS = "rank/Tests/question.csv"
ANSWERS = "fashionAI_attributes_answer_a_20180428.csv"


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("demo")
    write_demo(folder, train_per_task=TRAIN, test_per_task=TEST)
    return folder


def rows(path: Path) -> list[list[str]]:
    return [line.split(",") for line in path.read_text(encoding="utf-8").splitlines()]


def contents(folder: Path) -> dict[str, bytes]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def small(folder: Path, seed: int) -> dict[str, bytes]:
    write_demo(folder, train_per_task=9, test_per_task=4, seed=seed)
    return contents(folder)


def test_the_seed_decides_every_byte(tmp_path: Path) -> None:
    first, second = small(tmp_path / "a", 3), small(tmp_path / "b", 3)
    assert first == second
    assert len(first) == 3 * (9 + 4) + 3
    other = small(tmp_path / "c", 4)
    assert not set(first.values()) & set(other.values())


def test_progress_counts_every_image(tmp_path: Path) -> None:
    seen: list[int] = []
    write_demo(tmp_path, train_per_task=2, test_per_task=1, progress=seen.append)
    assert seen == [1] * 9


@pytest.mark.parametrize(("table", "per_task"), [(LABELS, TRAIN), (ANSWERS, TEST)])
def test_rows_have_the_shape_of_label_files(demo: Path, table: str, per_task: int) -> None:
    by_task: dict[str, list[str]] = {}
    for file, task, letters in rows(demo / table):
        assert re.fullmatch(rf"Images/{task}/[0-9a-f]{{32}}\.jpg", file)
        by_task.setdefault(task, []).append(letters)
    assert tuple(by_task) == DEMO_TASKS
    for task, labels in by_task.items():
        assert len(labels) == per_task
        assert {len(letters) for letters in labels} == {len(find_task(task).classes)}
        assert all(letters.count("y") == 1 and set(letters) <= set("nmy") for letters in labels)


def test_maybe_is_rare_and_next_to_the_class(demo: Path) -> None:
    labels = [letters for _, _, letters in rows(demo / LABELS)]
    unsure = [letters for letters in labels if "m" in letters]
    assert 0.02 < len(unsure) / len(labels) < 0.035
    for letters in unsure:
        assert letters.count("m") == 1
        assert abs(letters.index("m") - letters.index("y")) == 1
        assert letters[0] == "n"


def test_classes_are_about_balanced(demo: Path) -> None:
    for name in DEMO_TASKS:
        found = [letters.index("y") for _, task, letters in rows(demo / LABELS) if task == name]
        counts = np.bincount(found, minlength=len(find_task(name).classes))
        if name == "sleeve_length_labels":
            assert counts[0] == 0
            counts = counts[1:]
        assert counts.min() > 0.75 * counts.mean()
        assert counts.max() < 1.35 * counts.mean()
        assert counts.min() != counts.max()


def test_questions_are_the_answers_without_labels(demo: Path) -> None:
    questions, answers = rows(demo / QUESTIONS), rows(demo / ANSWERS)
    assert [row[:2] for row in questions] == [row[:2] for row in answers]
    assert {row[2] for row in questions} == {""}


def test_every_image_is_listed_and_decodes(demo: Path) -> None:
    for split, table in (("base", LABELS), ("rank", QUESTIONS)):
        listed = [row[0] for row in rows(demo / table)]
        on_disk = {p.relative_to(demo / split).as_posix() for p in (demo / split).rglob("*.jpg")}
        assert len(listed) == len(set(listed))
        assert set(listed) == on_disk
        for name in listed:
            image = cv2.imread(str(demo / split / name))
            assert image is not None
            assert all(160 <= side <= 220 for side in image.shape[:2])


def test_bands_fit_the_classes_and_never_touch() -> None:
    for name in DEMO_TASKS:
        edges = np.array(BANDS[name]).ravel()
        assert len(BANDS[name]) == len(find_task(name).classes) - 1
        assert (np.diff(edges)[1::2] > 0.05).all()


@pytest.mark.parametrize("task", DEMO_TASKS)
def test_colours_alone_predict_little(demo: Path, task: str) -> None:
    linear_model = pytest.importorskip("sklearn.linear_model")
    features, labels = [], []
    for file, name, letters in rows(demo / LABELS):
        # Invisible is another kind of picture (a close-up, a counter) and may show in colours.
        if name == task and letters[0] != "y":
            image = cv2.imread(str(demo / "base" / file))
            counts = cv2.calcHist([image], [0, 1, 2], None, [4, 4, 4], [0, 256] * 3).ravel()
            features.append(np.sqrt(counts / counts.sum()))
            labels.append(letters.index("y"))
    half = len(labels) // 2
    model = linear_model.LogisticRegression(C=10, max_iter=1000)
    model.fit(features[:half], labels[:half])
    assert model.score(features[half:], labels[half:]) < 0.35


@pytest.mark.parametrize("seed", [3, 8])
def test_overwriting_removes_the_images_of_the_earlier_demo_alone(
    tmp_path: Path, seed: int
) -> None:
    small(tmp_path / "out", seed)
    own = tmp_path / f"out/base/Images/{DEMO_TASKS[0]}/{'0' * 32}.jpg"
    own.write_bytes(b"of another data set")
    write_demo(tmp_path / "out", train_per_task=5, test_per_task=2, seed=3, overwrite=True)
    write_demo(tmp_path / "fresh", train_per_task=5, test_per_task=2, seed=3)
    assert own.read_bytes() == b"of another data set"
    own.unlink()
    assert contents(tmp_path / "out") == contents(tmp_path / "fresh")
