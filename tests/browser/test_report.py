"""The report in a browser: from the matrix to its images, filters, sorting, keyboard, and print."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Locator, Page, expect

from fashionai.metrics import marks_from_classes
from fashionai.reporting.report.results import Result, TaskResults
from fashionai.reporting.report.subjects import open_subjects
from fashionai.scoring.evaluate import evaluate_task
from fashionai.scoring.rows.labelled_predictions import LabelledPredictions
from fashionai.tasks import Task
from tests.support.report_pages import make_results, write_page
from tests.support.trained_runs import images_to_predict

HOSTILE = """<script>alert(1)</script><img src=x onerror=alert(2)>"'&amp;"""
CLASSES = (HOSTILE, "שלום עולם", "a 'quoted' \"class\"", "</script>", "plain")
TASK = Task("five", (), CLASSES, "table")
ROWS = 400
LARGEST_PAGE = 6_000_000


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> TaskResults:
    """400 images with hostile names, predicted by two runs."""
    names = [f"folder <b>{row % 3}</b>/{row:03d} {HOSTILE} \u202e.jpg" for row in range(ROWS)]
    return make_results(tmp_path_factory.mktemp("report"), TASK, ROWS, [0.7, 0.5], names)


@pytest.fixture(scope="module")
def report(results: TaskResults, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_page(tmp_path_factory.mktemp("page") / "report.html", results)


@pytest.fixture
def opened(page: Page, report: Path) -> Page:
    page.goto(report.as_uri())
    return page


def confusion(results: TaskResults, run: int) -> np.ndarray:
    return results.results[run].evaluation.confusion


def images(page: Page) -> Locator:
    return page.locator(".browser .gallery li")


def cell(page: Page, row: int, column: int, run: int = 0) -> Locator:
    return page.locator(f'.matrix[data-run="{run}"] button[data-at="{row} {column}"]')


def choose(page: Page, name: str, value: str) -> None:
    page.locator(f".browser [name={name}]").select_option(value)


def test_names_are_text(opened: Page) -> None:
    heads = opened.locator(".matrix").first.locator("tbody th")
    assert heads.all_text_contents() == list(CLASSES)
    assert opened.locator("img[onerror], b").count() == 0
    assert opened.locator("script").count() == 2


def test_a_cell_of_the_matrix_shows_its_images(opened: Page, results: TaskResults) -> None:
    counts = confusion(results, 1)
    row, column = np.argwhere(counts - np.diag(np.diag(counts)) > 3)[0].tolist()
    button = cell(opened, row, column, run=1)
    assert button.text_content().startswith(str(counts[row, column]))
    button.click()
    expect(images(opened)).to_have_count(int(counts[row, column]))
    expect(opened.locator(".browser h4")).to_be_focused()
    status = f"{counts[row, column]} images listed of {counts[row, column]} in this cell."
    expect(opened.locator(".browser .status")).to_have_text(status)
    for text in images(opened).all_text_contents():
        assert f"true: {CLASSES[row]}" in text
        assert f"predicted: {CLASSES[column]}" in text
    assert opened.locator(".matrix .chosen").count() == 1
    picture = images(opened).first.locator("img")
    assert picture.evaluate("image => image.decode().then(() => image.naturalWidth)") == 128


def test_counts_and_shares(opened: Page, results: TaskResults) -> None:
    counts = confusion(results, 0)
    button = cell(opened, 0, 0)
    assert button.inner_text() == f"{counts[0, 0]}"
    opened.get_by_label("shares of the true class").check()
    assert button.inner_text() == f"{100 * counts[0, 0] / counts[0].sum():.1f} %"
    opened.get_by_label("counts").check()
    assert button.inner_text() == f"{counts[0, 0]}"


def test_the_keyboard_alone_reaches_the_images(opened: Page, results: TaskResults) -> None:
    counts = confusion(results, 0)
    assert counts[0].all()
    assert counts[:, 1].all()
    opened.locator('.units input[value="count"]').focus()
    opened.keyboard.press("Tab")  # the scrollable region of the first matrix
    opened.keyboard.press("Tab")
    expect(cell(opened, 0, 0)).to_be_focused()
    opened.keyboard.press("ArrowRight")
    expect(cell(opened, 0, 1)).to_be_focused()
    opened.keyboard.press("ArrowDown")
    opened.keyboard.press("ArrowDown")
    opened.keyboard.press("ArrowUp")
    expect(cell(opened, 1, 1)).to_be_focused()
    opened.keyboard.press("ArrowLeft")
    opened.keyboard.press("Enter")
    expect(opened.locator(".browser h4")).to_be_focused()
    expect(opened.locator(".browser .status")).to_contain_text(f"of {counts[1, 0]} in this cell")


def test_filters_and_orders(opened: Page, results: TaskResults) -> None:
    rows = results.results[0].rows
    probabilities, truth = rows.probabilities, rows.marks.argmax(axis=1)
    predicted, confidence = probabilities.argmax(axis=1), probabilities.max(axis=1)
    choose(opened, "show", "mistakes")
    status = opened.locator(".browser .status")
    expect(status).to_have_text(f"{(predicted != truth).sum()} images listed.")
    choose(opened, "truth", "2")
    wrong = (predicted != truth) & (truth == 2)
    expect(status).to_have_text(f"{wrong.sum()} images listed.")
    opened.locator(".browser [name=text]").fill("folder <B>1")
    fitting = np.flatnonzero(wrong & (np.arange(ROWS) % 3 == 1))
    expect(images(opened)).to_have_count(len(fitting))
    for order, sign in (("sure", -1), ("unsure", 1)):
        choose(opened, "order", order)
        best = fitting[np.argsort(sign * confidence[fitting], kind="stable")[0]]
        expect(images(opened).first).to_contain_text(f"/{best:03d} ")
    opened.get_by_role("button", name="Show all").click()
    expect(status).not_to_have_text(f"{len(fitting)} images listed.")
    more = opened.get_by_role("button", name="Show more")
    before = images(opened).count()
    more.click()
    assert images(opened).count() > before


def test_images_that_only_one_run_gets_right(opened: Page, results: TaskResults) -> None:
    right = [
        each.rows.probabilities.argmax(axis=1) == each.rows.marks.argmax(axis=1)
        for each in results.results
    ]
    only = int((right[1] & ~right[0]).sum())
    button = opened.locator('button.only[data-right="1"]')
    expect(button).to_have_text(f"{only}")
    button.click()
    expect(opened.locator(".browser .status")).to_have_text(f"{only} images listed of {only}.")


def test_galleries_begin_with_the_worst_mistake(opened: Page, results: TaskResults) -> None:
    rows = results.results[0].rows
    truth, confidence = rows.marks.argmax(axis=1), rows.probabilities.max(axis=1)
    wrong = np.flatnonzero(rows.probabilities.argmax(axis=1) != truth)
    worst = wrong[confidence[wrong].argmax()]
    for show, row in (("mistakes", worst), ("uncertain", confidence.argmin())):
        first = opened.locator(f'.gallery[data-show="{show}"][data-run="0"] li').first
        expect(first).to_contain_text(f"/{row:03d} ")
        expect(first).to_contain_text(f"predicted: {CLASSES[rows.probabilities[row].argmax()]}")


def test_mistakes_of_a_trained_run_are_explained(
    page: Page, trained_cnn: Path, tmp_path: Path
) -> None:
    subject = open_subjects([trained_cnn])[0]
    (task,) = subject.tasks
    files = images_to_predict(trained_cnn.parents[1])[:3]
    probabilities = np.eye(len(task.classes))[:3]
    marks = marks_from_classes(np.array([1, 1, 1]), len(task.classes))
    rows = LabelledPredictions(task, [str(file) for file in files], files, marks, probabilities)
    evaluation = evaluate_task(task, probabilities, marks, resamples=2)
    result = Result(subject, "val", rows, evaluation)
    page.goto(write_page(tmp_path / "a.html", TaskResults(task, [result])).as_uri())
    mistakes = page.locator('.gallery[data-show="mistakes"] li')
    expect(mistakes).to_have_count(2)
    expect(page.locator(".overlays")).to_have_count(2)
    for number, predicted in enumerate((0, 2)):
        overlays = mistakes.nth(number).locator(".overlays figure")
        names = [task.classes[predicted], task.classes[1]]
        expect(overlays).to_have_text([f"for {name}" for name in names])
        for at, name in enumerate(names):
            picture = overlays.nth(at).get_by_alt_text(f"Pixels that speak for {name}")
            assert picture.evaluate("image => image.decode().then(() => image.naturalWidth)") == 32


def test_tables_are_sorted_by_their_headings(opened: Page, results: TaskResults) -> None:
    table = opened.locator(".classes table").first
    heading = table.get_by_role("columnheader", name="support")
    for direction in ("descending", "ascending"):
        heading.get_by_role("button").click()
        assert heading.get_attribute("aria-sort") == direction
        values = [int(each) for each in table.locator("tbody td:nth-child(2)").all_text_contents()]
        assert values == sorted(values, reverse=direction == "descending")
    counts = confusion(results, 0)
    assert sorted(values) == sorted(counts.sum(axis=1).tolist())


def test_it_fits_a_phone_and_paper(opened: Page) -> None:
    opened.set_viewport_size({"width": 390, "height": 800})
    assert opened.evaluate("document.documentElement.scrollWidth") <= 390
    opened.emulate_media(media="print")
    expect(opened.locator(".browser")).to_be_hidden()
    for text in (cell(opened, 0, 0), opened.locator(".classes thead th button").first):
        expect(text).to_be_visible()
    expect(opened.locator('.gallery[data-show="mistakes"]').first).to_be_visible()


def test_controls_and_pictures_have_names(opened: Page) -> None:
    """What a screen reader tells: each control and plot has a name, each plot a table."""
    for control in opened.locator("input, select, button, svg[role=img]").all():
        name = control.evaluate(
            "each => each.getAttribute('aria-label') || each.textContent.trim()"
            " || each.labels?.[0]?.textContent.trim()"
        )
        assert name, control.evaluate("each => each.outerHTML")
    assert opened.locator(".plot").count() == opened.locator(".plot details table").count()
    levels = opened.locator("h1, h2, h3, h4").evaluate_all("all => all.map(h => +h.tagName[1])")
    assert levels[0] == 1
    assert all(after <= before + 1 for before, after in zip(levels, levels[1:]))


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_cells_have_contrast(opened: Page, scheme: str) -> None:
    """The text of the strongest colours of the matrix, as WCAG 2.2 asks for."""
    opened.emulate_media(color_scheme=scheme)
    ratio = """([kind]) => {
      const cell = document.querySelector(`.matrix .${kind}`);
      cell.style.setProperty("--share", 1);
      const context = document.createElement("canvas").getContext("2d");
      const luminance = (colour) => {
        context.fillStyle = colour;
        context.fillRect(0, 0, 1, 1);
        const parts = [...context.getImageData(0, 0, 1, 1).data].slice(0, 3).map((each) => {
          each /= 255;
          return each <= 0.04045 ? each / 12.92 : ((each + 0.055) / 1.055) ** 2.4;
        });
        return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2];
      };
      const both = [getComputedStyle(cell).backgroundColor,
        getComputedStyle(cell.querySelector("button")).color].map(luminance);
      return (Math.max(...both) + 0.05) / (Math.min(...both) + 0.05);
    }"""
    for kind in ("right", "wrong"):
        assert opened.evaluate(ratio, [kind]) >= 4.5


def test_a_thousand_classes(page: Page, tmp_path: Path) -> None:
    task = Task("many", (), tuple(f"{HOSTILE} {index}" for index in range(1000)), "table")
    results = make_results(tmp_path, task, 600, [0.3], resamples=2)
    file = write_page(tmp_path / "report.html", results)
    page.goto(file.as_uri())
    filtered = page.locator(".classes input.filter").first
    filtered.fill("> 99")
    assert page.locator(".classes").first.locator("tbody tr:visible").count() == 0
    filtered.fill("; 99")
    assert page.locator(".classes").first.locator("tbody tr:visible").count() == 11
    counts = confusion(results, 0)
    shown = page.locator(".matrix").get_attribute("data-classes").split()
    assert shown[-1] == "-1"
    # The last row and column are those of all other classes.
    others = np.setdiff1d(np.arange(1000), [int(each) for each in shown[:-1]])
    expected = counts[np.ix_(others, others)].sum()
    button = cell(page, len(shown) - 1, len(shown) - 1)
    assert button.locator(".count").text_content() == f"{expected}"
    button.click()
    expect(page.locator(".browser .status")).to_contain_text(f"of {expected} in this cell")


def test_a_page_of_80_000_images_is_small_and_works(page: Page, tmp_path: Path) -> None:
    classes = tuple(f"class number {index} of the collection" for index in range(33))
    rng = np.random.default_rng(0)
    names = [f"Images/many_labels/{rng.bytes(16).hex()}.jpg" for _ in range(80_000)]
    task = Task("many", (), classes, "table")
    results = make_results(tmp_path, task, 80_000, [0.6, 0.8], names, resamples=2)
    file = write_page(tmp_path / "report.html", results)
    assert file.stat().st_size < LARGEST_PAGE
    page.goto(file.as_uri())
    expect(page.locator("#task-0")).to_contain_text("of 80,000 images, 500 with a thumbnail")
    cell(page, 3, 7, run=1).click()
    status = page.locator(".browser .status")
    expect(status).to_contain_text(f"of {confusion(results, 1)[3, 7]} in this cell")
