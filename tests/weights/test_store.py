"""The cache of weights."""

from __future__ import annotations

from pathlib import Path

import pytest

from fashionai.weights.store import weights_at_hand


def test_what_the_zoos_have_fetched_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FASHIONAI_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("MXNET_HOME", str(tmp_path))
    (tmp_path / "models").mkdir()
    file = tmp_path / "models/resnet50_v2-ecdde353.params"
    assert weights_at_hand("resnet50_v2") is None
    file.write_bytes(b"")
    (tmp_path / "models/resnet18_v2-00000000.params").write_bytes(b"")  # of another version
    assert weights_at_hand("resnet50_v2") == file
    assert weights_at_hand("resnet18_v2") is None
    assert weights_at_hand("small_cnn") is None
