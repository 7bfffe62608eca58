"""The style that all pages share, as Chromium computes it."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Page

from fashionai.pages import render

COLOURS = ["ink", "quiet", "accent", "good", "bad"]
MARKS = ["series-1", "series-2", "series-3", "series-4"]


def luminance(colour: str) -> float:
    """Relative luminance of ``#rrggbb``, as WCAG 2.2 defines it."""
    parts = [int(colour[start : start + 2], 16) / 255 for start in (1, 3, 5)]
    linear = [
        each / 12.92 if each <= 0.04045 else ((each + 0.055) / 1.055) ** 2.4 for each in parts
    ]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_and_marks_have_contrast(page: Page, tmp_path: Path, scheme: str) -> None:
    file = tmp_path / "page.html"
    file.write_text(render("base.html", title="x"))
    page.emulate_media(color_scheme=scheme)
    page.goto(file.as_uri())
    read = "name => getComputedStyle(document.documentElement).getPropertyValue('--' + name)"
    paper, panel = page.evaluate(read, "paper"), page.evaluate(read, "panel")
    for name in COLOURS:
        assert min(contrast(page.evaluate(read, name), each) for each in (paper, panel)) >= 4.5
    for name in MARKS:
        assert contrast(page.evaluate(read, name), paper) >= 3
