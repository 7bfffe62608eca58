"""The page of fashionai review, driven in Chromium with the keyboard alone."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import cv2
import pytest
from playwright.sync_api import Page, expect

from fashionai.inspection.findings import Finding
from fashionai.inspection.images import read_images
from fashionai.reviewing.application import Review, create_app
from fashionai.reviewing.decisions import Decisions
from fashionai.reviewing.items import items_of_findings
from tests.support.commands import run_in
from tests.support.data_trees import put
from tests.support.images import photograph
from tests.support.web_server import running

# Names that a page must show as text.
CLASSES = ("owl", "tit & <b>wren</b>", "\u05d9\u05e0\u05e9\u05d5\u05e3")


@pytest.fixture(scope="module")
def birds(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return prepare_birds(tmp_path_factory.mktemp("birds"), CLASSES)


def prepare_birds(folder: Path, classes: tuple[str, ...]) -> Path:
    """Thirty images of three classes in turn as a prepared folder."""
    rows = [("path", "label")]
    for number in range(30):
        image = cv2.imencode(".png", photograph(60 + number, 80))[1].tobytes()
        put(folder / f"images/{number:02d}.png", image)
        rows.append((f"{number:02d}.png", classes[number % 3]))
    with open(folder / "labels.csv", "w", newline="", encoding="utf-8") as handle:
        csv.writer(handle).writerows(rows)
    run_in(folder, ["prepare", "--task", "birds", "--csv", "labels.csv", "--images", "images"])
    return folder / "data/train_valid/birds"


def suspect(number: int, suggested: str) -> Finding:
    label = CLASSES[number % 3]
    return Finding("label", f"{number:02d}.png", "train", label, suggested, "0.0200", "0.9100")


@pytest.fixture
def address(birds: Path, tmp_path: Path) -> Iterator[str]:
    images = read_images(birds)
    pair = ("20.png", "train", CLASSES[2]), ("21.png", "val", CLASSES[0])
    findings = [
        *(suspect(number, CLASSES[(number + 1) % 3]) for number in range(4)),
        Finding("near-duplicate", *pair[0], "", "", "", *pair[1], "0.9900"),
    ]
    decisions = Decisions(tmp_path / "c.csv", images.task, birds, lambda: date(2030, 1, 2))
    items = items_of_findings(images, findings)
    with running(create_app(Review(images, items, decisions), "t0ken")) as origin:
        yield f"{origin}/t0ken/"


def saved(tmp_path: Path) -> list[tuple[str, str, str]]:
    with open(tmp_path / "c.csv", newline="", encoding="utf-8") as handle:
        return [(r["path"], r["action"], r["new_label"]) for r in csv.DictReader(handle)]


def press(page: Page, *keys: str, decided: int) -> None:
    for key in keys:
        page.keyboard.press(key)
    expect(page.locator("#progress")).to_have_text(f"{decided} of 6 decided.")


def test_suspects_are_decided_with_the_keyboard(page: Page, address: str, tmp_path: Path) -> None:
    page.goto(address)
    expect(page.locator("#one h2")).to_have_text("Label: owl")
    expect(page.locator("#one strong")).to_have_text(CLASSES[1])
    expect(page.locator(".others figure")).to_have_count(4)
    for image in page.locator("img").all():
        expect(image).to_have_js_property("complete", True)
        assert image.evaluate("image => image.naturalWidth") > 0
    press(page, "a", decided=1)
    expect(page.locator("#one figcaption").first).to_contain_text("2 of 6: 01.png")
    press(page, "k", decided=2)
    expect(page.locator("#one figcaption").first).to_contain_text("3 of 6")
    press(page, "d", decided=3)
    expect(page.locator("#one figcaption").first).to_contain_text("4 of 6")
    page.keyboard.press("s")
    expect(page.locator("#one figcaption").first).to_contain_text("5 of 6: 20.png")
    expect(page.locator(".others figcaption")).to_contain_text("21.png")
    page.keyboard.press("a")
    expect(page.locator("#error")).to_contain_text("No class is suggested")
    page.keyboard.press("c")
    expect(page.locator("#classes")).to_be_focused()
    page.keyboard.press("Home")
    press(page, "Enter", decided=4)
    assert saved(tmp_path) == [
        ("00.png", "correct", CLASSES[1]),
        ("01.png", "keep", ""),
        ("02.png", "drop", ""),
        ("20.png", "correct", CLASSES[0]),
    ]
    press(page, "u", decided=3)
    expect(page.locator("#one figcaption").first).to_contain_text("5 of 6")
    press(page, "u", decided=2)
    assert [row[0] for row in saved(tmp_path)] == ["00.png", "01.png"]
    page.reload()
    expect(page.locator("#one figcaption").first).to_contain_text("3 of 6")


def test_the_grid_is_used_with_the_keyboard(page: Page, address: str, tmp_path: Path) -> None:
    page.goto(address)
    page.keyboard.press("g")
    cells = page.locator("#grid button")
    expect(cells).to_have_count(6)
    expect(cells.nth(0)).to_be_focused()
    page.keyboard.press("ArrowRight")
    expect(cells.nth(1)).to_be_focused()
    press(page, "d", decided=1)
    expect(cells.nth(1)).to_contain_text("dropped")
    expect(cells.nth(2)).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("#one figcaption").first).to_contain_text("3 of 6")
    assert saved(tmp_path) == [("01.png", "drop", "")]


def test_class_names_are_text(page: Page, address: str) -> None:
    page.goto(address)
    expect(page.locator("#one strong")).to_have_text(CLASSES[1])
    assert page.locator("#one b").count() == 0
    assert page.locator("#classes option").all_inner_texts() == list(CLASSES)


@pytest.mark.parametrize("name", ["tit  wren", "tit\twren"])
def test_a_class_is_chosen_whatever_blanks_its_name_has(
    page: Page, tmp_path: Path, name: str
) -> None:
    folder = prepare_birds(tmp_path, ("owl", name, "wren"))
    images = read_images(folder)
    decisions = Decisions(tmp_path / "c.csv", images.task, folder, lambda: date(2030, 1, 2))
    suspects = [Finding("label", "00.png", "train", "owl", name, "0.0200", "0.9100")]
    review = Review(images, items_of_findings(images, suspects), decisions)
    with running(create_app(review, "t0ken")) as origin:
        page.goto(f"{origin}/t0ken/")
        # The class that is suggested is chosen in the list.
        page.keyboard.press("c")
        expect(page.locator("#classes")).to_have_js_property("value", name)
        page.keyboard.press("Enter")
        expect(page.locator("#progress")).to_have_text("1 of 1 decided.")
    assert saved(tmp_path) == [("00.png", "correct", name)]
