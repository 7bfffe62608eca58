"""The commands of the pages that begin where a task is prepared and a run is there."""

from __future__ import annotations

from pathlib import Path

import pytest

from fashionai.models.zoo import build_network
from tests.docs import pages
from tests.docs.pages import PAGES, QUICK, all_commands, run_page
from tests.support.commands import fashionai

# A network that PyTorch has as well.
CONVERTIBLE = ["model.name=resnet18_v1b", *QUICK[1:]]
# Pages whose commands tests of their own run.
OWN_TESTS = {
    *("README.md", "competition.md", "training.md"),
    *("your-own-images.md", "labels-and-images.md", "other-data-sets.md", "python.md"),
}
OTHERS = sorted(set(PAGES) - OWN_TESTS)


@pytest.mark.parametrize("name", OTHERS)
def test_the_commands_run(name: str, skirts: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    quick = CONVERTIBLE if name == "networks-and-weights.md" else QUICK
    begin_as_needed(" ".join(all_commands(PAGES[name])), quick)
    # The only one, of docs/predicting.md, is run by tests/export on an exported network.
    monkeypatch.setattr(pages, "run_program", lambda *program: None)
    run_page(PAGES[name], monkeypatch, quick)


def begin_as_needed(commands: str, quick: list[str]) -> None:
    """Prepare, train and write weights where the commands of a page begin with them."""
    if "configs/skirt.yaml" in commands or "runs/skirt" in commands:
        assert fashionai("prepare", "--task", "skirt") == 0
    if "runs/skirt" in commands:
        assert fashionai("train", "--config", "configs/skirt.yaml", *quick) == 0
    if "weights fetch" in commands:
        build_network("resnet18_v1b", 3, 224).save_parameters("weights.params")


def test_pages_with_tests_of_their_own_exist() -> None:
    assert set(PAGES) > OWN_TESTS


def test_commands_are_found() -> None:
    assert sum(len(all_commands(page)) for page in PAGES.values()) > 90
