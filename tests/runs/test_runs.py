"""Run folders: names that are free, the best finished one, damaged metrics."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from fashionai.config import Config, save_config
from fashionai.errors import DataError, FashionAIError, RunError
from fashionai.families import find_task
from fashionai.files import write_json
from fashionai.files.locks import locked
from fashionai.runs import (
    BASE_CONFIG_FILE,
    STUDY_FILE,
    Run,
    RunFolder,
    best_finished_runs,
    create_run,
    find_runs,
    locked_run,
    remove_run,
)
from fashionai.tasks import tasks_to_json
from tests.support.commands import fashionai


def make_run(path: Path, task: str, score: float, finished: bool = True) -> RunFolder:
    run = create_run(path)
    save_config(Config(task=task), run.config_file)
    write_json(run.classes_file, tasks_to_json([find_task(task)]))
    write_json(
        run.metrics_file,
        {
            "finished": finished,
            "best": {"map": score},
            "tasks": {find_task(task).name: {"map": score}},
        },
    )
    return run


def test_a_taken_name_gets_the_next_number_and_an_empty_folder_is_free(tmp_path: Path) -> None:
    (tmp_path / "runs/skirt").mkdir(parents=True)
    assert create_run(tmp_path / "runs/skirt").path == tmp_path / "runs/skirt"
    (tmp_path / "runs/skirt/train.log").write_text("begun")
    assert create_run(tmp_path / "runs/skirt").path == tmp_path / "runs/skirt-2"
    (tmp_path / "runs/skirt-2/train.log").write_text("begun")
    assert create_run(tmp_path / "runs/skirt").path == tmp_path / "runs/skirt-3"


def test_a_file_is_no_place_for_a_run(tmp_path: Path) -> None:
    (tmp_path / "labels.csv").write_text("path,label\n")
    with pytest.raises(DataError, match=r"labels\.csv: is a file, expected a folder to write to"):
        create_run(tmp_path / "labels.csv")
    assert [path.name for path in tmp_path.iterdir()] == ["labels.csv"]


def test_the_best_finished_run_of_each_task(tmp_path: Path) -> None:
    make_run(tmp_path / "a", "skirt", 0.8)
    make_run(tmp_path / "b", "skirt", 0.9)
    make_run(tmp_path / "c", "skirt", 0.99, finished=False)
    make_run(tmp_path / "d", "pant", 0.5)
    (tmp_path / "notes").mkdir()
    skirt, pant = find_task("skirt"), find_task("pant")
    best = best_finished_runs([skirt, pant], find_runs(tmp_path))
    assert {task.short_name: run[0].path.name for task, run in best.items()} == {
        "skirt": "b",
        "pant": "d",
    }
    assert [run.path.name for run in find_runs(tmp_path)] == ["a", "b", "c", "d"]


def test_all_tasks_without_a_run_are_named(tmp_path: Path) -> None:
    make_run(tmp_path / "c", "skirt", 0.99, finished=False)
    with pytest.raises(FashionAIError) as error:
        best_finished_runs([find_task("skirt"), find_task("pant")], find_runs(tmp_path))
    assert "no finished run of skirt_length_labels, pant_length_labels" in str(error.value)
    assert f"unfinished: {tmp_path / 'c'}" in str(error.value)
    assert f"Finish it with fashionai train --run {tmp_path / 'c'} --resume, name one" in str(
        error.value
    )
    # The unfinished run is of another task than the first one that is missing.
    with pytest.raises(FashionAIError, match="Train one with fashionai train --config pant"):
        best_finished_runs([find_task("pant"), find_task("skirt")], find_runs(tmp_path))


@pytest.mark.parametrize("content", ["[]", "{", '{"best": 3}', "null"])
def test_metrics_that_are_none_are_an_error(tmp_path: Path, content: str) -> None:
    run = make_run(tmp_path / "a", "skirt", 0.8)
    run.metrics_file.write_text(content)
    with pytest.raises(FashionAIError, match=r"metrics\.json: (not valid JSON|does not hold)"):
        best_finished_runs([find_task("skirt")], find_runs(tmp_path))


def test_only_runs_are_removed(tmp_path: Path) -> None:
    run = make_run(tmp_path / "a", "skirt", 0.8)
    remove_run(run.path)
    assert not run.path.exists()
    remove_run(run.path)
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis/chapter.tex").write_text("")
    with pytest.raises(FashionAIError, match="not a run"):
        remove_run(tmp_path / "thesis")


@pytest.mark.parametrize(
    "lock",
    ["trial-0/.lock", "confirm/trial-1-seed-0/.lock", ".trial-0.lock", ".confirm-a-seed-1.lock"],
)
def test_a_search_in_use_is_not_removed(tmp_path: Path, lock: str) -> None:
    study = tmp_path / "study"
    make_run(study / "trial-0", "skirt", 0.8)
    make_run(study / "confirm/trial-1-seed-0", "skirt", 0.8)
    for name in (STUDY_FILE, BASE_CONFIG_FILE):
        (study / name).write_text("")
    with locked(study / lock, RunError("busy")):
        with pytest.raises(RunError, match=r"study.*: is being trained by another process"):
            remove_run(study)
        assert (study / "trial-0/config.yaml").is_file()
    # What a killed process leaves is no obstacle.
    (study / lock).write_text("")
    remove_run(study)
    assert list(tmp_path.iterdir()) == []


def test_metrics_are_json_without_nan(tmp_path: Path) -> None:
    write_json(tmp_path / "m.json", {"map": float("nan"), "list": [1.5, float("inf")]})
    assert json.loads((tmp_path / "m.json").read_text()) == {"map": None, "list": [1.5, None]}


def test_more_epochs_are_another_run_that_begins_with_the_weights(tmp_path: Path) -> None:
    """Resuming could not be exact: the schedule of the epochs that are done depends on all."""
    run = Run(make_run(tmp_path / "a", "skirt", 0.8))
    longer = run.config.changed({"epochs": 60})
    for weights, hint in ((False, "Resume without overrides"), (True, "To train its weights for")):
        if weights:
            run.folder.best_parameters.touch()
        with pytest.raises(RunError, match=rf"\(epochs: 40, not 60\)\. {hint}") as caught:
            run.check_same_config(longer)
    assert str(caught.value).endswith(
        f"begin another run: fashionai train --config {tmp_path}/a/config.yaml --run "
        f"{tmp_path}/a-more epochs=20 model.pretrained={tmp_path}/a/best.params"
    )
    for other in ({"epochs": 20}, {"epochs": 60, "optimizer.lr": 0.5}):
        with pytest.raises(RunError, match="Resume without overrides"):
            run.check_same_config(run.config.changed(other))


def make_run_of_several(path: Path, scores: dict[str, float]) -> RunFolder:
    run = create_run(path)
    save_config(Config(task=list(scores)), run.config_file)
    tasks = [find_task(name) for name in scores]
    write_json(run.classes_file, tasks_to_json(tasks))
    each = {task.name: {"map": score} for task, score in zip(tasks, scores.values())}
    write_json(run.metrics_file, {"finished": True, "best": {"map": 0.5}, "tasks": each})
    return run


def test_a_run_of_several_tasks_stands_for_each_of_them(tmp_path: Path) -> None:
    """By its score of that task, beside runs that have learnt it alone."""
    both = make_run_of_several(tmp_path / "both", {"pant": 0.7, "skirt": 0.6})
    alone = make_run(tmp_path / "alone", "skirt", 0.65)
    assert Run(both).tasks == (find_task("pant"), find_task("skirt"))
    best = best_finished_runs([find_task("skirt"), find_task("pant")], find_runs(tmp_path))
    assert best == {find_task("skirt"): [Run(alone)], find_task("pant"): [Run(both)]}
    make_run_of_several(tmp_path / "more", {"skirt": 0.8, "coat": 0.1})
    best = best_finished_runs([find_task("skirt")], find_runs(tmp_path))
    assert [run.path.name for run in best[find_task("skirt")]] == ["more"]


def test_the_weights_of_a_run_are_those_that_its_metrics_name(tmp_path: Path) -> None:
    run = make_run(tmp_path / "a", "skirt", 0.8)
    assert Run(run).weights_file == run.best_parameters
    metrics = Run(run).metrics
    write_json(run.metrics_file, {**metrics, "weights": "best_ema.params"})
    assert Run(run).weights_file == run.best_averaged_parameters
    run.metrics_file.unlink()
    assert Run(run).weights_file == run.best_parameters


@pytest.mark.parametrize(
    "change",
    [
        {"best": []},
        {"best": {"map": "high"}},
        {"tasks": {"skirt_length_labels": 3}},
        {"epochs": [3]},
        {"finished": "yes"},
        {"weights": 5},
        {"weights": "../other/best.params"},
    ],
    ids=str,
)
def test_metrics_of_other_types_are_refused(tmp_path: Path, change: dict[str, object]) -> None:
    run = Run(make_run(tmp_path / "a", "skirt", 0.8))
    write_json(run.folder.metrics_file, {**run.metrics, **change})
    with pytest.raises(RunError, match=r"metrics\.json: does not hold a run's metrics"):
        _ = Run(run.folder).metrics


@pytest.mark.parametrize("name", ["metrics.json", "classes.json"])
def test_json_that_is_nested_too_deep_is_refused(tmp_path: Path, name: str) -> None:
    run = make_run(tmp_path / "a", "skirt", 0.8)
    (run.path / name).write_text("[" * 100_000)
    with pytest.raises(FashionAIError, match=name):
        _ = Run(run).metrics, Run(run).tasks


def test_a_folder_that_has_to_be_the_wanted_one_is_refused_when_it_is_taken(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    (tmp_path / "other/notes.txt").write_text("mine")
    with pytest.raises(RunError, match="holds other files than those of a run"):
        create_run(tmp_path / "other", exactly=True)
    folder = create_run(tmp_path / "new", exactly=True)
    with locked_run(folder), pytest.raises(RunError, match="trained by another process"):
        create_run(tmp_path / "new", exactly=True)
    assert create_run(tmp_path / "new", exactly=True) == folder
    assert sorted(path.name for path in tmp_path.iterdir()) == ["new", "other"]


def test_searches_are_named_with_the_command_that_lists_their_trials(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    make_run(tmp_path / "runs/my search/trial-0", "skirt", 0.5)
    for search in ("my search", "begun", "notes"):
        Path("runs", search).mkdir(exist_ok=True)
        Path("runs", search, "tune.yaml").write_text("{}")
    for search in ("my search", "begun"):
        Path("runs", search, "config.base.yaml").write_text("task: skirt\n")
    command = "Trials of a search: fashionai runs 'runs/my search'\n"
    assert fashionai("runs") == 0
    assert capsys.readouterr().out == command
    make_run(tmp_path / "runs/a", "skirt", 0.5)
    assert fashionai("runs") == 0
    printed = capsys.readouterr().out
    assert "runs/a" in printed
    assert printed.endswith(command)
    assert fashionai("runs", "runs/my search") == 0
    assert "trial-0" in capsys.readouterr().out


def test_a_damaged_run_does_not_hide_the_others(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name, score in (("a", 0.5), ("b", 0.7)):
        make_run(tmp_path / "runs" / name, "skirt", score)
    Path("runs/b/metrics.json").write_text("{")
    assert fashionai("runs") == 0
    printed = capsys.readouterr()
    assert "runs/a" in printed.out
    assert "runs/b " not in printed.out
    assert "left out: runs/b/metrics.json: not valid JSON" in printed.err
    # Which run is the best one is not known: no other one is taken instead.
    assert fashionai("predict", "--task", "skirt", "--split", "val", "--out", "p.csv") == 2
    assert "runs/b/metrics.json: not valid JSON" in capsys.readouterr().err
