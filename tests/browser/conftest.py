"""A tab of Debian's Chromium that reports what a page must not do.

A test fails if its page writes an error to the console, raises one, or sends a request to anything
but files and this machine.
"""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Page, Request, expect, sync_playwright

CHROMIUM = "/usr/bin/chromium"
LOCAL_SCHEMES = ("file", "data", "blob")
# Milliseconds: a busy machine takes longer than Playwright's 5 seconds.
expect.set_options(timeout=30_000)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "tests/browser/" in item.path.as_posix():
            item.add_marker(pytest.mark.browser)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        # Chromium's sandbox needs a user other than root.
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    context = browser.new_context(viewport={"width": 1200, "height": 800})
    page = context.new_page()
    faults: list[str] = []
    page.on("console", lambda message: _note(faults, message.type == "error", message.text))
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on("request", lambda request: _note(faults, not is_local(request), request.url))
    yield page
    context.close()
    assert not faults


def _note(faults: list[str], is_fault: bool, text: str) -> None:
    if is_fault:
        faults.append(text)


def is_local(request: Request) -> bool:
    """Whether a request stays on this machine."""
    address = urlsplit(request.url)
    return address.scheme in LOCAL_SCHEMES or address.hostname in ("127.0.0.1", "localhost")
