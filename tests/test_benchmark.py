"""``fashionai bench`` measures every part in the processes that it starts."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.support.commands import run_cli
from tests.support.data_trees import write_fashionai_data

SMALL = [
    "trainable=head",
    "model.name=mobilenet0.25",
    "data.resize_short=40",
    "data.crop=32",
    "batch_size=8",
]
CONFIG = """\
task: skirt
model: {name: mobilenet0.25, pretrained: false}
data: {resize_short: 40, crop: 32}
batch_size: 8
"""


@pytest.mark.parametrize("prepared", [True, False])
def test_every_part_is_measured_and_nothing_is_left(tmp_path: Path, prepared: bool) -> None:
    arguments: list[object] = SMALL
    if prepared:
        write_fashionai_data(tmp_path / "data", per_class=4)
        assert run_cli("prepare", "--task", "skirt", cwd=tmp_path).returncode == 0
        (tmp_path / "skirt.yaml").write_text(CONFIG)
        arguments = ["--config", "skirt.yaml"]
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    before = sorted(tmp_path.rglob("*"))
    # ONNX Runtime leaves a file in the temporary folder where it may report its use.
    environment = {k: v for k, v in os.environ.items() if k != "ORT_DISABLE_TELEMETRY"}
    done = run_cli(
        "bench",
        *arguments,
        "--seconds",
        0.01,
        cwd=tmp_path,
        env={**environment, "TMPDIR": str(temporary), "FASHIONAI_HOME": str(tmp_path / "home")},
    )
    assert done.returncode == 0, done.stderr
    assert sorted(tmp_path.rglob("*")) == before
    lines = done.stdout.splitlines()
    assert max(map(len, lines)) <= 80
    parts = {line[:40].strip() for line in lines}
    for part in (
        "decode",
        "decode, augment and assemble batches",
        "training step, batch 8",
        "training step, batch 4",
        "training, all of it",
        *(f"forward, engine {name} (views)" for name in ("gluon", "fused", "onnx", "int8")),
    ):
        assert any(line.startswith(part) for line in parts), part
    verdict = done.stdout.replace("\n", " ")
    assert "% of the speed of its steps alone" in verdict
    blamed = "loading" in verdict or "computing is" in verdict
    if prepared:
        assert blamed or "another program uses this machine" in verdict
    else:
        # With a frozen backbone images are loaded once, and loading is not the bottleneck.
        assert not blamed
