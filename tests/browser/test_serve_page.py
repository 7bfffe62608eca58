"""The page of fashionai serve in a browser: every way in which an image gets there."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from fashionai.frameworks.mxnet import import_mxnet
from fashionai.runs import Run
from fashionai.serving.app import create_app
from fashionai.serving.limits import Limits
from fashionai.serving.service import Service, Settings
from tests.support.trained_runs import images_to_predict
from tests.support.web_server import running

mx = import_mxnet()

LIMITS = Limits(request_bytes=200_000, pixels=50_000, queue=6)
SECONDS = 60_000  # of Playwright's waiting, in milliseconds: the machine may be busy
# A drop or a paste of a file, as a browser makes it.
SEND_EVENT = """([kind, name, data]) => {
  const bytes = Uint8Array.from(atob(data), each => each.charCodeAt(0));
  const moved = new DataTransfer();
  moved.items.add(new File([bytes], name, {type: "image/jpeg"}));
  const event = kind === "paste"
    ? new ClipboardEvent("paste", {clipboardData: moved, bubbles: true})
    : new DragEvent("drop", {dataTransfer: moved, bubbles: true, cancelable: true});
  document.body.dispatchEvent(event);
}"""


@pytest.fixture(scope="module")
def service(trained_cnn: Path) -> Iterator[Service]:
    service = Service(Run.open(trained_cnn), Settings([mx.cpu()], 1, 8, "gluon"), LIMITS)
    yield service
    service.close()


@pytest.fixture(scope="module")
def photographs(trained: Path) -> list[Path]:
    return images_to_predict(trained)


@pytest.fixture
def opened(page: Page, service: Service) -> Iterator[Page]:
    with running(create_app(service)) as address:
        page.goto(address)
        expect(page.locator("#model")).to_contain_text("6 classes; small_cnn", timeout=SECONDS)
        yield page


def expect_done(page: Page, text: str) -> None:
    expect(page.get_by_role("status")).to_have_text(text, timeout=SECONDS)


@pytest.mark.parametrize("kind", ["drop", "paste"])
def test_a_dropped_and_a_pasted_image_get_classes(
    opened: Page, photographs: list[Path], kind: str
) -> None:
    data = base64.b64encode(photographs[0].read_bytes()).decode()
    opened.evaluate(SEND_EVENT, [kind, "skirt.jpg", data])
    expect_done(opened, "1 of 1 image done")
    result = opened.locator("#results > li")
    expect(result.locator("h2")).to_have_text("skirt.jpg")
    shown = result.locator("ol li").all_inner_texts()
    assert len(shown) == 5
    shares = [float(line.split()[-2]) for line in shown]
    assert shares == sorted(shares, reverse=True)


def test_a_camera_gives_one_image(opened: Page, photographs: list[Path]) -> None:
    camera = opened.get_by_label("Take a photograph")
    assert camera.get_attribute("capture") == "environment"
    camera.set_input_files(photographs[1])
    expect_done(opened, "1 of 1 image done")


def test_an_image_that_is_too_large_is_told_beside_the_others(
    opened: Page, photographs: list[Path], tmp_path: Path
) -> None:
    long = tmp_path / "long.jpg"
    long.write_bytes(photographs[0].read_bytes() + bytes(300_000))
    opened.get_by_label("Choose images").set_input_files([photographs[0], long])
    expect_done(opened, "2 of 2 images done, 1 with a problem")
    expect(opened.locator(".problem")).to_have_text("too large: 0.30 MB, expected at most 0.20 MB")


def test_the_reason_of_the_server_is_shown(
    browser: Browser, service: Service, photographs: list[Path], tmp_path: Path
) -> None:
    """In a tab of its own: browsers note answers of status 4xx as errors of the page."""
    (tmp_path / "cut.jpg").write_bytes(photographs[0].read_bytes()[:400])
    page = browser.new_page()
    with running(create_app(service)) as address:
        page.goto(address)
        page.get_by_label("Choose images").set_input_files([tmp_path / "cut.jpg", photographs[0]])
        expect_done(page, "2 of 2 images done, 1 with a problem")
    expect(page.locator(".problem")).to_have_text("truncated: image data are missing")
    page.close()


def test_fifty_images_at_once_are_all_classified(opened: Page, photographs: list[Path]) -> None:
    """With few in the queue at a time: the page sends four at once."""
    files = (photographs * 3)[:50]
    opened.get_by_label("Choose images").set_input_files(files)
    expect_done(opened, "50 of 50 images done")
    assert opened.locator("#results ol").count() == 50
    names = opened.locator("#results h2").all_inner_texts()
    assert names == [file.name for file in files]
    opened.get_by_role("button", name="Clear").click()
    assert opened.locator("#results > li").count() == 0


def test_the_keyboard_alone_is_enough(opened: Page, photographs: list[Path]) -> None:
    """The tab key reaches the file input itself, whose dialogue is the browser's own to open."""
    opened.keyboard.press("Tab")
    expect(opened.get_by_role("link", name="Skip to the content")).to_be_focused()
    opened.keyboard.press("Tab")
    expect(opened.get_by_label("Choose images")).to_be_focused()
    focused = opened.locator(":focus")
    expect(focused).to_have_attribute("type", "file")
    expect(focused).to_be_enabled()
    focused.set_input_files(photographs[0])
    expect_done(opened, "1 of 1 image done")
    opened.keyboard.press("Tab")
    expect(opened.get_by_label("Take a photograph")).to_be_focused()
    opened.keyboard.press("Tab")
    expect(opened.get_by_role("button", name="Clear")).to_be_focused()
    opened.keyboard.press("Enter")
    expect(opened.get_by_label("Choose images")).to_be_focused()
    expect(opened.locator("#results > li")).to_have_count(0)


def test_a_token_opens_the_page(page: Page, service: Service, photographs: list[Path]) -> None:
    with running(create_app(service, token="sesame")) as address:
        page.goto(f"{address}/#token=sesame")
        expect(page.locator("#model")).to_contain_text("small_cnn", timeout=SECONDS)
        assert page.url == f"{address}/"
        page.get_by_label("Choose images").set_input_files(photographs[0])
        expect_done(page, "1 of 1 image done")


@pytest.mark.parametrize("width", [1200, 390])
def test_nothing_is_wider_than_the_screen(
    opened: Page, photographs: list[Path], width: int, tmp_path: Path
) -> None:
    opened.set_viewport_size({"width": width, "height": 844})
    long = tmp_path / f"{'a-long-name-' * 12}.jpg"
    long.write_bytes(photographs[0].read_bytes())
    opened.get_by_label("Choose images").set_input_files([*photographs[:3], long])
    expect_done(opened, "4 of 4 images done")
    assert opened.evaluate("() => document.documentElement.scrollWidth") <= width
