"""What pages lead to exists: links, sections, files, tasks and generated tables."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from fashionai.config import resolve_config
from tests.docs.pages import DOCS, PAGES, blocks
from tests.support.commands import ROOT

# Without the code blocks, in which brackets are no links.
TEXTS = {
    name: re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.M | re.S)
    for name, page in PAGES.items()
}


def anchors(text: str) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", text, flags=re.MULTILINE)
    plain = (re.sub(r"[^\w\- ]", "", heading.lower()) for heading in headings)
    return {heading.replace(" ", "-") for heading in plain}


@pytest.mark.parametrize("name", PAGES)
def test_links_lead_to_files_and_sections(name: str) -> None:
    for link in re.findall(r"\]\(([^)\s]+)\)", TEXTS[name]):
        if link.startswith("http"):
            continue
        path, _, section = link.partition("#")
        target = (PAGES[name].parent / path).resolve() if path else PAGES[name]
        assert target.exists(), f"{name}: {link}"
        if section:
            assert section in anchors(target.read_text(encoding="utf-8")), f"{name}: {link}"


@pytest.mark.parametrize("name", PAGES)
def test_every_path_that_a_page_names_exists(name: str) -> None:
    text = PAGES[name].read_text(encoding="utf-8")
    pattern = r"\./(?:scripts/)?(?:bench/)?[a-z_]+\.sh|configs/[a-z_]+\.yaml|scripts/[a-z_/]+\.py"
    written = [f"configs/{task}.yaml" for task in re.findall(r"fashionai init (\w+)", text)]
    for path in set(re.findall(pattern, text)) - set(written):
        assert (ROOT / path).is_file(), path


@pytest.mark.parametrize("name", PAGES)
def test_the_readme_leads_to_every_page(name: str) -> None:
    assert name == "README.md" or f"(docs/{name})" in TEXTS["README.md"]


@pytest.mark.parametrize("page", sorted(DOCS.glob("*.md")), ids=lambda page: page.name)
def test_every_page_begins_with_its_purpose(page: Path) -> None:
    title, _, opening = page.read_text(encoding="utf-8").splitlines()[:3]
    assert title.startswith("# ")
    assert opening.startswith("After reading this page you ")


def test_configurations_of_the_pages_are_valid() -> None:
    texts = [
        block.text for page in PAGES.values() for block in blocks(page) if block.language == "yaml"
    ]
    assert texts
    for text in texts:
        resolve_config({"task": "skirt", **yaml.safe_load(text)}, "the page")


def test_generated_tables_are_those_of_the_code() -> None:
    done = subprocess.run(
        [sys.executable, ROOT / "scripts/make_docs.py", "--check"], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("name", sorted(set(PAGES) - {"commands.md"}))
def test_commands_are_in_blocks_that_tests_run(name: str) -> None:
    others = [block.text for block in blocks(PAGES[name]) if block.language == "text"]
    assert not re.findall(r"^fashionai .*", "".join(others), flags=re.MULTILINE)
