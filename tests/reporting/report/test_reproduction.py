"""The commands of a report make the same run and the same scores again."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from fashionai.files import write_json
from fashionai.reporting.report.reproduction import reproduction
from fashionai.reporting.report.results import Source
from fashionai.reporting.report.subjects import Subject
from fashionai.runs import Run
from fashionai.tasks import Task, tasks_to_json
from tests.support.report_pages import make_subject

TASKS = [Task(name, (), ("a", "b"), "table") for name in ("one", "two")]


@pytest.fixture
def subject(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Subject:
    """A run of two tasks in the folder r."""
    monkeypatch.chdir(tmp_path)
    made = make_subject(Path("r"), TASKS[0])
    write_json(Path("r/classes.json"), tasks_to_json(TASKS))
    return made


def test_a_cross_validation_has_all_of_its_settings(subject: Subject) -> None:
    Path("r/config.base.yaml").write_text("task: one\n")
    settings = "folds: 3\nstratified: false\ngrouped_by_content: false\ncrops: 10\n"
    Path("r/cross_validation.yaml").write_text(settings)
    found = reproduction(subject._replace(is_cross_validation=True), Source(), 1, ["one"])
    assert found.commands == (
        "fashionai cross-validate --config r/config.base.yaml --folds 3 --crops 10 "
        "--not-stratified --not-grouped-by-content --run r-again"
    )


@pytest.mark.parametrize(("shown", "tasks"), [(["two"], " --task two"), (["one", "two"], "")])
def test_only_the_tasks_of_the_report_are_scored(
    subject: Subject, shown: list[str], tasks: str
) -> None:
    found = reproduction(subject, Source(threshold=0.3), 4, shown)
    assert found.commands.splitlines() == [
        "fashionai train --config r/config.yaml --run r-again",
        f"fashionai evaluate --run r-again --split val --crops 4{tasks} --threshold 0.3",
    ]


def test_a_soup_averages_the_same_runs(subject: Subject) -> None:
    metrics = json.loads(Path("r/metrics.json").read_text())
    metrics["soup"] = {"method": "uniform", "runs": {"runs/a": {}, "runs/b c": {}}}
    Path("r/metrics.json").write_text(json.dumps({**metrics, "averaged_runs": 2}))
    soup = subject._replace(runs=[Run(subject.runs[0].folder)])
    assert reproduction(soup, Source(), 1, ["one", "two"]).commands.splitlines()[0] == (
        "fashionai soup --run runs/a --run 'runs/b c' --method uniform --out r-again"
    )
    assert soup.progress == "The weights are the mean of 2 runs."
