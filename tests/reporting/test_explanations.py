"""Pictures of explanations: their colours, their titles, the names of their files."""

from __future__ import annotations

import time
from pathlib import Path

import cv2
import numpy as np

from fashionai.predictions.explain import ExplainedClass, Explanation
from fashionai.reporting.explanations import (
    overlay,
    picture_names,
    rows_of_tiles,
    write_explanation,
)
from fashionai.tasks import Task


def test_cold_pixels_are_grey_and_hot_ones_coloured() -> None:
    image = np.array([[[255, 0, 0], [255, 0, 0], [10, 20, 30]]], np.uint8)
    found = overlay(image, np.array([[0.0, 1.0, 0.0]]))
    grey = round(0.299 * 255)
    assert found[0, 0].tolist() == [grey] * 3
    assert found[0, 2].tolist() == [round(0.299 * 10 + 0.587 * 20 + 0.114 * 30)] * 3
    # The brightest colour of inferno, (252, 255, 164), has seven tenths.
    assert np.abs(found[0, 1] - (0.3 * grey + 0.7 * np.array([252, 255, 164]))).max() <= 1


def test_every_task_has_a_row_of_titled_classes() -> None:
    heat, image = np.zeros((4, 4), np.float32), np.zeros((4, 4, 3), np.uint8)
    sides = Task("side", (), ("left", "right"), "table")
    long_name = "a class with a name that is too long for a tile"
    kinds = Task("kind", (), (long_name, "cat"), "table")
    classes = [
        ExplainedClass(sides, 1, 0.8, False, heat),
        ExplainedClass(sides, 0, 0.2, True, heat),
        ExplainedClass(kinds, 0, 0.9996, False, heat),
    ]
    first, second = rows_of_tiles(Explanation(image, classes), "photo.jpg")
    titles = [tile.title for tile in first]
    assert titles == ["photo.jpg\nside", "right\n0.800", "left\n0.200, the label"]
    assert [tile.title.split("\n")[1] for tile in second] == ["kind", "1.000"]
    assert len(second[1].title.split("\n")[0]) == 23
    (alone,) = rows_of_tiles(Explanation(image, classes[:2]), "photo.jpg")
    assert alone[0].title == "photo.jpg\ncentre crop"


def test_names_are_text_and_no_formulas(tmp_path: Path) -> None:
    """Matplotlib takes text between dollars for a formula, and refuses unknown words of it."""
    task = Task("side", (), ("$\\left", "$\\foo$"), "table")
    one = ExplainedClass(task, 1, 0.8, False, np.zeros((4, 4), np.float32))
    explanation = Explanation(np.zeros((4, 4, 3), np.uint8), [one])
    write_explanation(explanation, "$\\bar$.jpg", tmp_path / "a.png")
    assert (tmp_path / "a.png").stat().st_size


def test_names_of_pictures_are_distinct() -> None:
    images = [Path(name) for name in ("a/x.jpg", "b/x.png", "X.jpg", "x-2.jpg", "y.tar.jpg")]
    assert picture_names(images) == ["x.png", "x-2.png", "X-3.png", "x-2-2.png", "y.tar.png"]


def test_many_images_of_one_name_are_named_quickly() -> None:
    """As in data sets whose photographs are ID/front.jpg."""
    start = time.process_time()
    names = picture_names([Path(f"{number}/front.jpg") for number in range(4000)])
    assert time.process_time() - start < 1
    assert names[:3] + names[-1:] == ["front.png", "front-2.png", "front-3.png", "front-4000.png"]


def test_a_crop_is_not_resampled(tmp_path: Path) -> None:
    """A network's crop of 224 pixels is in the picture pixel by pixel, beside its overlay."""
    image = np.random.default_rng(0).integers(0, 256, (224, 224, 3), np.uint8)
    one = ExplainedClass(Task("side", (), ("a",), "table"), 0, 1.0, False, np.zeros((224, 224)))
    write_explanation(Explanation(image, [one]), "photo.jpg", tmp_path / "a.png")
    picture = cv2.cvtColor(cv2.imread(str(tmp_path / "a.png")), cv2.COLOR_BGR2RGB)
    for part in (image, overlay(image, one.heat)):
        assert cv2.matchTemplate(picture, part, cv2.TM_SQDIFF).min() == 0
