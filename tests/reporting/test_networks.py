"""The table of networks as a user sees it."""

from __future__ import annotations

from pathlib import Path

import pytest

from fashionai.models.catalogue import CATALOGUE
from tests.support.commands import fashionai


def test_the_table_fits_and_marks_local_weights(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MXNET_HOME", str(tmp_path))
    (tmp_path / "models").mkdir()
    (tmp_path / "models/resnet50_v2-ecdde353.params").write_bytes(b"")
    assert fashionai("models") == 0
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 80
    cells = {line.split()[0]: line.split()[1:] for line in lines[1 : len(CATALOGUE) + 1]}
    assert cells["resnet50_v2"] == ["224", "25,595,060", "4,089", "0.7711", "local"]
    assert cells["resnet18_v2"] == ["224", "11,695,796", "1,814", "0.7100", "published"]
    assert cells["small_cnn"] == ["32", "428,266", "39", "-", "-"]
    assert fashionai("models", "vgg16") == 0
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()[:2]] == [
        "network",
        "vgg16",
    ]
