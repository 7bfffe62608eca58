"""The bundle that the tests of this folder share."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.commands import fashionai


@pytest.fixture(scope="session")
def bundle(trained: Path, trained_cnn: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("bundle") / "skirt.zip"
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(trained)
        arguments = ("--run", trained_cnn, "--format", "bundle", "--out", file)
        assert fashionai("export", *arguments) == 0
    return file
