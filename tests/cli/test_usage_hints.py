"""Hints at the right place of an argument that click refuses."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.commands import fashionai


@pytest.fixture(autouse=True)
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("my runs/a").mkdir(parents=True)
    Path("my runs/a/config.yaml").touch()
    Path("photos").mkdir()
    Path("runs").symlink_to("my runs")


@pytest.mark.parametrize(
    ("arguments", "hint"),
    [
        (["train", "--config", "skirt", "--epochs", "3"], "epochs=VALUE"),
        (["tune", "--batch-size", "3"], "batch_size=VALUE"),
        (["train", "--lr", "0.1"], "optimizer.lr=VALUE"),
        (["train", "--name", "adam"], ""),  # of several sections
        (["evaluate", "--epochs", "3"], ""),
        (["evaluate", "my runs/a"], "Name a run with --run 'my runs/a'"),
        (["evaluate", "my runs/a", "photos"], ""),
        (["evaluate", "runs/a", "photos"], "Name a run with --run runs/a"),
        (["evaluate", "photos"], ""),
        (["evaluate", *("photos/" + 90 * "x",) * 60], ""),
        (["train", "--model", "resnet18_v1"], "model.name=VALUE"),
        (["tasks", "my runs/a"], ""),
    ],
)
def test_a_hint_follows_the_error(
    arguments: list[str], hint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert fashionai(*arguments) == 2
    last = capsys.readouterr().err.splitlines()[-1]
    key = "Give a key of the configuration as "
    assert last == (f"{key}{hint}" if "=" in hint else hint) or (not hint and "Error: " in last)
