"""Searches as a user runs them: what they leave, and how they go on after kills."""

from __future__ import annotations

import csv
import json
import shutil
import signal
from pathlib import Path

import numpy as np
import pytest

from fashionai.cli.training import tune
from fashionai.config import load_config, save_config
from fashionai.runs import Run, RunFolder
from fashionai.training.speed import step_speed
from fashionai.tuning.settings import Given
from fashionai.tuning.storage import Storage
from fashionai.tuning.study import Study, open_study
from tests.support.commands import fashionai
from tests.support.pausing import go_on, start_until
from tests.support.resuming import assert_same_end, history
from tests.support.trained_runs import write_config

# A rate that learns nothing is among the choices.
SPACE = """\
optimizer.lr: {low: 0.001, high: 0.1, log: true}
schedule.name: [cosine, constant]
loss.mixup: {low: 0.1, high: 0.4, when: {schedule.name: cosine}}
"""
SEARCH = ("tune", "--config", "small.yaml", "--space", "space.yaml", "--trials", "4")
STUDY = Path("runs/skirt-tune")


@pytest.fixture(scope="module")
def searched(prepared: Path) -> Path:
    """A folder with data/, small.yaml, space.yaml and a finished search of four trials."""
    write_config(prepared, epochs=2, batch_size=42)
    (prepared / "space.yaml").write_text(SPACE)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(prepared)
        assert fashionai(*SEARCH) == 0
    return prepared


@pytest.fixture
def work(searched: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of the finished search, as the current folder."""
    monkeypatch.chdir(searched)
    return searched


@pytest.fixture
def copy(searched: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of it that a test changes, as the current folder."""
    folder = shutil.copytree(searched, tmp_path / "copy")
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def anew(searched: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The same folder without a search, as the current folder."""
    folder = shutil.copytree(searched, tmp_path / "anew", ignore=shutil.ignore_patterns("runs"))
    monkeypatch.chdir(folder)
    return folder


def table(study: Path = STUDY) -> list[dict[str, str]]:
    """The rows of trials.csv without the time."""
    with open(study / "trials.csv", newline="") as handle:
        return [{k: v for k, v in row.items() if k != "seconds"} for row in csv.DictReader(handle)]


def study_in(path: Path) -> Study:
    return open_study(Given(), path, "cpu", [], None, resume=True)


def best_scores(trial: int) -> dict[str, float]:
    return json.loads((STUDY / f"trial-{trial}/metrics.json").read_text())["best"]


def test_the_first_trial_is_the_users_configuration(work: Path) -> None:
    run = Run(RunFolder(STUDY / "trial-0"))
    run.check_same_config(load_config("small.yaml"))
    first = table()[0]
    assert (first["optimizer.lr"], first["schedule.name"]) == ("0.05", "cosine")
    assert first["loss.mixup"] == ""  # 0 is none of its numbers


def test_trials_are_runs_with_the_parameters_that_the_table_tells(work: Path) -> None:
    rows = table()
    assert [row["trial"] for row in rows] == ["0", "1", "2", "3"]
    for row in rows[1:]:
        config = Run(RunFolder(STUDY / f"trial-{row['trial']}")).config
        assert config.optimizer.lr == float(row["optimizer.lr"])
        assert 0.001 <= config.optimizer.lr <= 0.1
        assert config.schedule.name == row["schedule.name"]
        mixup = float(row["loss.mixup"] or 0)
        assert config.loss.mixup == mixup
        assert (mixup > 0) == (row["schedule.name"] == "cosine")
    assert {row["schedule.name"] for row in rows} == {"cosine", "constant"}


def test_values_are_the_scores_of_the_runs(work: Path) -> None:
    finished = [row for row in table() if row["state"] == "finished"]
    assert len(finished) >= 2
    for row in finished:
        assert float(row["map"]) == best_scores(int(row["trial"]))["map"]


def test_the_time_of_a_trial_is_that_on_the_clock(work: Path) -> None:
    """With validation and start-up, which the seconds of the history leave out."""
    for trial in study_in(STUDY).storage.trials():
        with open(STUDY / f"trial-{trial.number}/history.csv", newline="") as handle:
            of_steps = sum(float(row["seconds"]) for row in csv.DictReader(handle))
        assert trial.seconds > of_steps + 0.05


def test_the_weights_of_the_best_trials_alone_are_kept(work: Path) -> None:
    finished = [row for row in table() if row["state"] == "finished"]
    order = sorted(finished, key=lambda row: -float(row["map"]))  # stable: earlier ones first
    best = {f"trial-{row['trial']}" for row in order[:3]}
    assert {file.parent.name for file in STUDY.glob("trial-*/best.params")} == best
    assert {file.parent.name for file in STUDY.glob("trial-*/last.states.npz")} == best
    assert len([*STUDY.glob("trial-*/history.csv")]) == 4


def test_the_best_configuration_trains_the_run_of_the_best_trial(work: Path) -> None:
    finished = [row for row in table() if row["state"] == "finished"]
    best = max(finished, key=lambda row: float(row["map"]))
    tuned = Path("configs/skirt-tuned.yaml")
    assert fashionai("train", "--config", tuned, "--run", "runs/again", "--overwrite") == 0
    assert_same_end(Path("runs/again"), STUDY / f"trial-{best['trial']}")
    comments = [line for line in tuned.read_text().splitlines() if line.startswith("#")]
    assert comments[0] == "# Written by fashionai tune"
    assert any(line.split()[1:3] == ["0", f"{float(table()[0]['map']):.4f}"] for line in comments)


def test_a_search_that_was_killed_ends_with_the_same_trials(anew: Path, searched: Path) -> None:
    process = start_until(STUDY / "trial-1/history.csv", *SEARCH)
    process.kill()
    process.communicate()
    assert not (STUDY / "trials.csv").exists()

    assert fashionai(*SEARCH, "--resume") == 0

    assert table() == table(searched / STUDY)
    for number in range(4):
        mine, other = (folder / STUDY / f"trial-{number}" for folder in (anew, searched))
        assert history(mine) == history(other)
    for kept in (searched / STUDY).glob("trial-*/best.params"):
        mine = STUDY / kept.parent.name / "best.params"
        assert mine.read_bytes() == kept.read_bytes()


def test_the_lock_that_a_kill_leaves_in_a_finished_trial_is_removed(copy: Path) -> None:
    """Killed before it could remove the lock of the run, and store that the trial is finished."""
    study = study_in(STUDY)
    number = study.storage.add(study.space.params_of(study.config), study.space)
    shutil.copytree(STUDY / "trial-0", STUDY / f"trial-{number}")
    lock = STUDY / f"trial-{number}/.lock"
    lock.touch()
    study.storage.keep_seconds(number, 1000.0)
    assert fashionai("tune", "--run", STUDY, "--resume", "--trials", "5") == 0
    assert table()[-1]["state"] == "finished"
    # The time before the kill counts.
    assert study.storage.trials()[number].seconds > 1000
    assert not lock.exists()


def test_processes_share_the_trials_and_take_over_those_of_a_dead_one(anew: Path) -> None:
    arguments = [*SEARCH[:-1], "3", "--resume"]
    first = start_until(STUDY / "trial-0/history.csv", *arguments)
    second = start_until(STUDY / "trial-1/history.csv", *arguments)
    # Each is in the middle of a trial of its own.
    assert not (STUDY / "trial-2").exists()
    first.kill()
    first.communicate()
    go_on(second, signal.SIGCONT)
    output = second.communicate(timeout=120)[0]
    assert second.returncode == 0, output
    assert "3 of 3 trials" in output
    assert [row["trial"] for row in table()] == ["0", "1", "2"]
    assert {row["state"] for row in table()} <= {"finished", "pruned"}
    assert Run(RunFolder(STUDY / "trial-0")).is_finished


def test_a_trial_with_low_scores_is_ended_after_an_epoch(copy: Path) -> None:
    add_trials(study_in(STUDY), 3, score=2.0)
    assert fashionai("tune", "--run", STUDY, "--resume", "--trials", "8") == 0
    last = table()[-1]
    assert (last["state"], last["reason"], last["epochs"]) == ("pruned", "low scores", "1")
    run = Run(RunFolder(STUDY / "trial-7"))
    assert not run.is_finished
    assert run.metrics["epochs"] == 1
    assert not run.weights_file.exists()


def test_a_trial_that_would_end_too_late_is_ended_after_an_epoch(copy: Path) -> None:
    study = study_in(STUDY)
    # Trials that took no time: another one, of a small part of the others' time, seems to fit.
    add_trials(study, 16, score=0.0)
    seconds = sum(trial.seconds for trial in study.storage.trials())
    limit = f"{(1 + 1.01 / 20) * seconds:.6f}s"
    assert fashionai("tune", "--run", STUDY, "--resume", "--time", limit) == 0
    last = table()[-1]
    assert (last["state"], last["reason"], last["epochs"]) == ("pruned", "too slow", "1")


def add_trials(study: Study, count: int, score: float) -> None:
    """Add finished trials that had this score after every epoch and took no time."""
    for _ in range(count):
        number = study.storage.add(study.space.params_of(study.config), study.space)
        study.storage.report(number, [score, score], 0.0)
        study.storage.finish(number, [score])


def test_a_trial_that_diverges_is_pruned_and_the_search_goes_on(
    anew: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("space.yaml").write_text("optimizer.lr: [1.0e+30]\n")
    assert fashionai(*SEARCH[:-1], "2") == 0
    assert [row["state"] for row in table()] == ["finished", "pruned"]
    assert "loss is nan" in table()[1]["reason"]
    rows = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert [row[0] for row in rows if row[1:2] == ["pruned"]] == ["1"]  # in the last table


def test_the_users_configuration_must_train(anew: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert fashionai(*SEARCH, "optimizer.lr=1e30") == 2
    message = capsys.readouterr().err
    assert message.startswith("Error: trial 0: the ")
    assert "loss is nan" in message


def test_values_that_do_not_go_together_fail_the_trial_and_many_end_the_search(
    anew: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    space = "data.crop: {low: 40, high: 46}\ndata.resize_short: {low: 33, high: 36}\n"
    Path("space.yaml").write_text(space)
    assert fashionai(*SEARCH) == 2
    assert "is larger than resize_short 3" in capsys.readouterr().err
    states = [trial.state for trial in study_in(STUDY).storage.trials()]
    assert states == ["finished", "failed", "failed", "running"]


def test_folds_score_a_trial_by_their_mean(anew: Path) -> None:
    done = fashionai(*SEARCH[:-1], "1", "--folds", "2", "--pruner", "none", "epochs=1")
    assert done == 0
    for number, row in enumerate(table()):
        runs = [Run(RunFolder(STUDY / f"trial-{number}-fold-{fold}")) for fold in (1, 2)]
        assert float(row["map"]) == np.mean([run.metrics["best"]["map"] for run in runs])
        assert [run.config.data.fold for run in runs] == [1, 2]


def test_another_objective_chooses_epochs_and_trials(anew: Path) -> None:
    assert fashionai(*SEARCH[:-1], "2", "--objective", "log_loss", "epochs=1") == 0
    rows = table()
    assert [float(row["log_loss"]) for row in rows] == [
        best_scores(number)["log_loss"] for number in range(2)
    ]
    tuned = load_config("configs/skirt-tuned.yaml")
    assert tuned.monitor == "log_loss"
    best = min(rows, key=lambda row: float(row["log_loss"]))
    assert tuned.optimizer.lr == float(best["optimizer.lr"])


def test_two_objectives_keep_the_weights_of_the_front(
    anew: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(step_speed, "MEASURED_SECONDS", 0.05)
    Path("space.yaml").write_text("data.crop: [16, 32]\noptimizer.lr: [0.01, 0.05]\n")
    objectives = ("--objective", "map", "--objective", "time")
    assert fashionai(*SEARCH, *objectives, "epochs=1") == 0
    rows = [(float(row["map"]), float(row["time"])) for row in table()]
    # A network and a crop have one time, however often they are measured.
    crops = [row["data.crop"] for row in table()]
    assert len({(crop, time) for crop, (_, time) in zip(crops, rows)}) == len({*crops})
    front = {
        f"trial-{at}"
        for at, row in enumerate(rows)
        if rows.index(row) == at
        and not any(s >= row[0] and t <= row[1] and (s, t) != row for s, t in rows)
    }
    assert {file.parent.name for file in STUDY.glob("trial-*/best.params")} == front


def test_a_search_is_resumed_as_it_was_begun(
    work: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = {file: file.read_bytes() for file in STUDY.rglob("*") if file.is_file()}
    resume = ("tune", "--run", STUDY, "--resume", "--trials", "9")
    save_config(load_config("small.yaml", ["epochs=3"]), Path("other.yaml"))
    Path("other-space.yaml").write_text("optimizer.lr: [0.1]\n")
    for arguments, told in (
        (["--config", "other.yaml"], "epochs: 2, not 3"),
        (["--objective", "accuracy"], "objectives: ['map'], not ['accuracy']"),
        (["--sampler", "random"], "sampler: 'tpe', not 'random'"),
        (["--folds", "3"], "folds: None, not 3"),
        (["--space", "other-space.yaml"], "the search space of other-space.yaml"),
    ):
        assert fashionai(*resume, *arguments) == 2
        assert told in capsys.readouterr().err
    assert {file: file.read_bytes() for file in before} == before


def test_a_damaged_file_of_trials_is_refused(
    work: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    study = shutil.copytree(STUDY, tmp_path / "damaged")
    (study / "trials.sqlite").write_bytes(b"no database" * 1000)
    assert fashionai("tune", "--run", study, "--resume", "--trials", "9") == 2
    assert "trials.sqlite: cannot be read" in capsys.readouterr().err


def test_overwriting_deletes_a_search_and_nothing_else(
    work: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    study = shutil.copytree(STUDY, tmp_path / "old")
    arguments = [*SEARCH[:-1], "1", "--run", study, "--overwrite", "epochs=1"]
    tuned = shutil.copy("configs/skirt-tuned.yaml", tmp_path / "tuned.yaml")
    assert fashionai(*arguments, "--confirm", "2", "--out", tuned) == 0
    output = capsys.readouterr().out
    assert f"{tuned}: replaces the result of {STUDY}\n" in output
    assert "No trial is better than the given configuration: nothing to confirm." in output
    assert [row["trial"] for row in table(study)] == ["0"]
    other = tmp_path / "photos"
    other.mkdir()
    (other / "photo.jpg").write_bytes(b"mine")
    assert fashionai(*arguments[:-3], other, "--overwrite") == 2
    assert (other / "photo.jpg").read_bytes() == b"mine"


def test_a_finished_search_is_resumed_without_its_number_of_trials(copy: Path) -> None:
    before = table()
    assert fashionai("tune", "--run", STUDY, "--resume") == 0
    assert table() == before
    assert len(before) == 4


def test_where_no_trial_is_better_the_next_step_is_not_to_train_again(
    copy: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert fashionai(*SEARCH[:-1], "1", "--overwrite", "epochs=1") == 0
    output = capsys.readouterr().out
    told = "No trial is better than the given configuration, which is the best found."
    assert f"{told}\n\nIt is trained already: {STUDY}/trial-0\n" in output
    assert "Next:" not in output
    assert f"# {told}" in Path("configs/skirt-tuned.yaml").read_text()


def test_a_search_ends_where_its_space_has_no_other_values(
    anew: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("space.yaml").write_text("optimizer.lr: [0.02]\n")
    assert fashionai(*SEARCH, "epochs=1") == 0
    assert [row["optimizer.lr"] for row in table()] == ["", "0.02"]
    told = "The search ends after 2 trials: no other values were found in its space."
    assert told in capsys.readouterr().out


def test_a_stop_between_trainings_is_told_with_the_command_to_go_on(
    work: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(self: object, trials: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(tune._Display, "show", interrupted)
    assert fashionai("tune", "--run", STUDY, "--resume", "--trials", "4") == 130
    error = " ".join(capsys.readouterr().err.split())
    assert f"{STUDY}: stopped between trainings" in error
    assert f"Resume with: fashionai tune --run {STUDY} --resume --trials 4" in error


def test_proposals_follow_from_the_trials_before_alone(tmp_path: Path, work: Path) -> None:
    study = study_in(STUDY)
    proposed = study.storage.propose(study.space)
    copy = shutil.copyfile(STUDY / "trials.sqlite", tmp_path / "copy.sqlite")
    again = Storage(copy, ["map"], "tpe", "median", 2, study.config.seed)
    assert again.propose(study.space) == proposed
    other_seed = Storage(copy, ["map"], "tpe", "median", 2, study.config.seed + 1)
    assert other_seed.propose(study.space) != proposed
