"""What the tests of setup.sh begin with."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.scripts.setup.project import Project


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """A project in which nothing is set up."""
    return Project(tmp_path)
