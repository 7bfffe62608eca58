"""The run and the bundle that the tests of this folder share."""

from __future__ import annotations

from pathlib import Path

import pytest

from fashionai.runs import Run
from tests.support.commands import fashionai


@pytest.fixture(scope="session")
def bundle(trained: Path, trained_cnn: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("bundle") / "skirt.zip"
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(trained)
        arguments = ("--run", trained_cnn, "--format", "bundle", "--out", file)
        assert fashionai("export", *arguments) == 0
    return file


@pytest.fixture(scope="module")
def run(trained_cnn: Path, trained: Path) -> Run:
    run = Run.open(trained_cnn)
    folder = str(trained / "data/train_valid")
    run.__dict__["config"] = run.config.changed({"data.folder": folder})
    return run
