"""The whole competition run on a small tree: twice, since the second time skips what is done."""

from __future__ import annotations

import json
import shutil
import subprocess
import zipfile
from pathlib import Path

from tests.support.commands import ROOT
from tests.support.data_trees import write_fashionai_data

QUICK = [
    *("model.name=small_cnn", "model.pretrained=false", "epochs=1", "batch_size=8"),
    *("data.resize_short=36", "data.crop=32"),
]


def benchmark(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["./benchmark.sh", *arguments], cwd=folder, capture_output=True, text=True, timeout=300
    )


def test_two_tasks_become_one_submission_and_a_second_run_does_nothing_again(
    tmp_path: Path,
) -> None:
    project = tmp_path / "a project"
    project.mkdir()
    shutil.copyfile(ROOT / "benchmark.sh", project / "benchmark.sh")
    (project / "benchmark.sh").chmod(0o755)
    for name in ("configs", ".venv"):
        (project / name).symlink_to(ROOT / name)
    # The set-up of this checkout: its own would be minutes of installing.
    setup = project / "scripts/setup.sh"
    setup.parent.mkdir()
    setup.write_text(f'#!/bin/sh\nexec "{ROOT}/scripts/setup.sh"\n')
    setup.chmod(0o755)
    for task in ("skirt_length_labels", "pant_length_labels"):
        write_fashionai_data(project / "data", task=task, per_class=5)
    # The answers that were released are those of all eight tasks.
    answers = (project / "data/answers.csv").read_text()
    answers += "Images/coat_length_labels/a.jpg,coat_length_labels,nnnnnnny\n"
    (project / "data/fashionAI_attributes_answer_a_20180428.csv").write_text(answers)
    arguments = ["--tasks", "skirt,pant", *QUICK]

    first = benchmark(project, *arguments)
    assert first.returncode == 0, first.stdout + first.stderr
    submission = project / "submission/submission.csv"
    rows = submission.read_text().splitlines()
    asked = (project / "data/rank/Tests/question.csv").read_text().splitlines()
    assert [row.split(",")[:2] for row in rows] == [row.split(",")[:2] for row in asked]
    with zipfile.ZipFile(project / "submission/submission.zip") as archive:
        assert archive.namelist() == ["submission.csv"]
        assert archive.read("submission.csv") == submission.read_bytes()

    scores = json.loads((project / "submission/evaluation.json").read_text())
    assert list(scores["tasks"]) == ["skirt_length_labels", "pant_length_labels"]

    weights = (project / "runs/skirt/best.params").stat().st_mtime_ns
    second = benchmark(project, *arguments)
    assert second.returncode == 0, second.stdout + second.stderr
    assert "runs/skirt: already finished" in second.stdout
    assert "runs/pant: already finished" in second.stdout
    assert (project / "runs/skirt/best.params").stat().st_mtime_ns == weights
    assert not (project / "runs/skirt-2").exists()

    tuned = benchmark(project, "--tasks", "skirt", "--tune", "1s", *QUICK)
    assert tuned.returncode == 0, tuned.stdout + tuned.stderr
    assert (project / "runs/skirt-tuned.yaml").is_file()
    assert (project / "runs/skirt-tuned/best.params").is_file()
    assert (project / "runs/skirt/best.params").stat().st_mtime_ns == weights

    other = benchmark(project, *arguments, "epochs=2")
    assert other.returncode == 2
    assert "begun with another configuration (epochs: 1, not 2)" in other.stderr
