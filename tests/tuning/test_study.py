"""How a study is begun: what is refused before anything is lost, and its command to go on."""

from __future__ import annotations

import contextlib
import csv
import shlex
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Optional

import click
import pytest

from fashionai.cli.training.tune import command
from fashionai.config import load_config
from fashionai.datasets.prepared.manifest import MANIFEST, PSEUDO_COLUMN
from fashionai.errors import ConfigError, FashionAIError, RunError, TrainingError
from fashionai.frameworks.choice import choose_devices
from fashionai.progress import no_bar
from fashionai.training.speed.estimate import Speed
from fashionai.tuning import best_file, timing
from fashionai.tuning.budget import Budget
from fashionai.tuning.search import search
from fashionai.tuning.settings import Given
from fashionai.tuning.study import Study, open_study
from tests.support.commands import fashionai
from tests.support.data_trees import tree
from tests.support.trained_runs import write_config

CONFIG, STUDY = Path("small.yaml"), Path("runs/skirt-tune")


@pytest.fixture(autouse=True)
def work(prepared_skirts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with data/, which is for reading, and small.yaml, as the current folder."""
    monkeypatch.chdir(tmp_path)
    Path("data").symlink_to(prepared_skirts / "data")
    write_config(tmp_path, epochs=1, batch_size=42)
    Path("space.yaml").write_text("optimizer.lr: [0.02]\n")
    return tmp_path


def begin(given: Optional[Given] = None, progress: Any = no_bar, **options: Any) -> Study:
    given = given or with_options()
    return open_study(given, STUDY, "cpu", [], progress, **options)


def with_options(**values: Any) -> Given:
    return Given(CONFIG, space_file=Path("space.yaml"), **{"trials": 3, **values})


@contextlib.contextmanager
def no_progress_allowed(description: str, total: int, unit: str = "images") -> Iterator[Any]:
    pytest.fail(f"began to work: {description}")
    yield


@pytest.mark.parametrize("is_choice", [False, True])
def test_overwriting_keeps_the_weights_that_a_search_starts_from(is_choice: bool) -> None:
    weights = begin().path / "trial-0/best.params"
    weights.parent.mkdir()
    weights.write_bytes(b"weights")
    given = with_options(overrides=[f"model.pretrained={weights}"])
    if is_choice:
        Path("space.yaml").write_text(f"model.pretrained: [{weights.absolute()}, false]\n")
        given = with_options()
    with pytest.raises(ConfigError, match="is lost when --overwrite deletes runs/skirt-tune"):
        begin(given, overwrite=True)
    assert weights.read_bytes() == b"weights"


def test_overwriting_keeps_the_files_that_a_search_reads() -> None:
    begin()
    base, space = STUDY / "config.base.yaml", STUDY / "space.yaml"
    before = tree(STUDY)
    with pytest.raises(ConfigError, match=f"--space: {space} is lost when --overwrite deletes"):
        begin(Given(CONFIG, space_file=space, trials=3), overwrite=True)
    with pytest.raises(ConfigError, match=f"--config: {base} is lost when --overwrite deletes"):
        begin(Given(base, space_file=Path("space.yaml"), trials=3), overwrite=True)
    assert tree(STUDY) == before


@pytest.mark.parametrize(
    "changed", ["optimizer.lr: [0.02, 0.03]", "optimizer.momentum: [0.8]"], ids=["value", "key"]
)
def test_trials_of_another_space_are_told(changed: str, capsys: pytest.CaptureFixture[str]) -> None:
    begin().storage.add({"optimizer.lr": "0.02"}, begin(resume=True).space)
    (STUDY / "space.yaml").write_text(f"{changed}\n")
    assert fashionai("tune", "--run", STUDY, "--resume") == 2
    told = f"{STUDY}/space.yaml: optimizer.lr has other values than in trial 0. Restore the file"
    assert told in capsys.readouterr().err


def test_a_space_of_the_users_own_is_not_replaced() -> None:
    STUDY.mkdir(parents=True)
    own = STUDY / "space.yaml"
    own.write_text("# My notes\noptimizer.lr: [0.02]\n")
    given = Given(CONFIG, space_file=own, trials=3)
    for options, told in (
        ({"resume": True}, "holds other files than those of a search"),
        ({"overwrite": True}, "not a run"),
    ):
        with pytest.raises(RunError, match=told):
            begin(given, no_progress_allowed, **options)
    assert begin(given).path == Path("runs/skirt-tune-2")
    assert own.read_text() == "# My notes\noptimizer.lr: [0.02]\n"


@pytest.mark.parametrize(
    ("name", "options", "told"),
    [
        ("photo.jpg", {"overwrite": True}, "not a run"),
        ("photo.jpg", {"resume": True}, "holds other files than those of a search"),
        ("config.yaml", {"resume": True}, "holds other files than those of a search"),
    ],
)
def test_a_folder_that_cannot_be_used_is_refused_before_the_work(
    name: str, options: dict[str, bool], told: str
) -> None:
    STUDY.mkdir(parents=True)
    (STUDY / name).write_bytes(b"mine")
    with pytest.raises(RunError, match=told):
        begin(with_options(folds=2), no_progress_allowed, **options)
    assert [file.name for file in STUDY.iterdir()] == [name]


def test_a_file_in_the_place_of_the_folder_is_refused_before_the_work() -> None:
    STUDY.parent.mkdir()
    STUDY.write_bytes(b"mine")
    with pytest.raises(FashionAIError, match="is a file, expected a folder"):
        begin(with_options(folds=2), no_progress_allowed)
    assert STUDY.read_bytes() == b"mine"


def test_a_search_that_may_replace_a_file_is_resumed_before_it_has_results() -> None:
    """And replaces no other file, nor that one with other content."""
    mine, other = Path("mine.yaml"), Path("other.yaml")
    mine.write_text("task: pant\n")
    shutil.copy(mine, other)
    begin(with_options(best_file=mine), overwrite=True)
    assert mine.read_text() == "task: pant\n"
    assert begin(with_options(best_file=mine), resume=True).best_file == mine
    assert open_study(Given(best_file=mine), STUDY, "cpu", [], no_bar, resume=True)
    with pytest.raises(ConfigError, match=r"other\.yaml: exists and is not a configuration"):
        begin(with_options(best_file=other), resume=True)
    mine.write_text("task: skirt\n")
    with pytest.raises(ConfigError, match=r"mine\.yaml: exists and is not a configuration"):
        begin(with_options(best_file=mine), resume=True)


@pytest.mark.parametrize("name", ["mine\udcb9.yaml", "caf\u00e9/mine.yaml"])
def test_it_is_resumed_with_any_name_of_the_file_and_after_the_project_was_moved(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project, mine = tmp_path / "project", Path(name)
    project.mkdir()
    for file in (CONFIG, Path("space.yaml"), Path("data")):
        file.rename(project / file)
    monkeypatch.chdir(project)
    mine.parent.mkdir(exist_ok=True)
    mine.write_text("task: pant\n")
    begin(with_options(best_file=mine.absolute()), overwrite=True)
    project.rename(tmp_path / "moved\udcb9")
    monkeypatch.chdir(tmp_path / "moved\udcb9")
    assert begin(with_options(best_file=mine), resume=True).best_file == mine


def test_a_search_keeps_the_file_that_was_given_last() -> None:
    begin(with_options(best_file=Path("caf\u00e9.yaml").absolute()))
    resume = (STUDY, "cpu", [], no_bar)
    assert open_study(Given(), *resume, resume=True).best_file == Path("caf\u00e9.yaml")
    begin(with_options(best_file=Path("other.yaml")), resume=True)
    assert open_study(Given(), *resume, resume=True).best_file == Path("other.yaml")
    assert begin(resume=True).best_file == Path("other.yaml")
    file = STUDY / "tune.yaml"
    file.write_text(file.read_text().replace("out: other.yaml", "out: [1]"))
    with pytest.raises(RunError, match=r"out: expected the name of a file\. Give --out FILE"):
        open_study(Given(), *resume, resume=True)
    file.write_text(file.read_text().replace("out: [1]\n", ""))
    assert begin(resume=True).best_file == Path("configs/skirt-tuned.yaml")


def test_the_best_configuration_is_written_to_a_name_that_is_not_utf8() -> None:
    mine = Path("mine\udcb9.yaml")
    mine.write_text("task: pant\n")
    command = ("tune", "--config", CONFIG, "--space", "space.yaml", "--trials", "1")
    assert fashionai(*command, "--out", mine, "--overwrite") == 0
    assert load_config(mine).task == "skirt"
    assert "fashionai train --config 'mine\\xb9.yaml'" in mine.read_text(encoding="utf-8")


def test_the_file_may_be_replaced_as_it_was_when_it_was_checked() -> None:
    """Not as it was changed to while folds were planned."""
    mine = Path("mine.yaml")
    mine.write_text("task: pant\n")

    @contextlib.contextmanager
    def meanwhile(description: str, total: int, unit: str = "images") -> Iterator[Any]:
        mine.write_text("task: skirt\n")
        with no_bar(description, total) as advance:
            yield advance

    given = with_options(folds=2, best_file=mine)
    begin(given, meanwhile, overwrite=True)
    with pytest.raises(ConfigError, match=r"mine\.yaml: exists and is not a configuration"):
        begin(given, resume=True)
    mine.write_text("task: pant\n")
    assert begin(given, resume=True).best_file == mine


def test_a_file_that_cannot_be_read_is_told_before_the_former_search_is_deleted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    begin()
    before = (STUDY / "tune.yaml").stat().st_ino

    def unreadable(path: Path) -> str:
        raise PermissionError(13, "Permission denied", str(path))

    Path("mine.yaml").write_text("task: pant\n")
    monkeypatch.setattr(best_file, "file_hash", unreadable)
    with pytest.raises(PermissionError, match=r"mine\.yaml"):
        begin(with_options(best_file=Path("mine.yaml")), overwrite=True)
    assert (STUDY / "tune.yaml").stat().st_ino == before


def test_a_search_that_may_replace_nothing_is_refused_when_it_is_resumed() -> None:
    begin()
    Path("mine.yaml").write_text("task: pant\n")
    with pytest.raises(ConfigError, match="exists and is not a configuration of fashionai") as told:
        begin(with_options(best_file=Path("mine.yaml")), resume=True)
    assert told.value.hint == "Name another --out"


def test_a_search_that_another_process_begins_meanwhile_is_resumed() -> None:
    given = with_options(folds=2, trials=3)
    others, written = [], []

    @contextlib.contextmanager
    def meanwhile(description: str, total: int, unit: str = "images") -> Iterator[Any]:
        others.append(begin(given, resume=True))
        (STUDY / "trial-0-fold-1").mkdir()
        written.append((STUDY / "tune.yaml").stat().st_ino)
        with no_bar(description, total) as advance:
            yield advance

    study = begin(given, meanwhile, resume=True)
    assert [other.settings for other in others] == [study.settings]
    assert study.path == STUDY
    assert [(STUDY / "tune.yaml").stat().st_ino] == written
    assert not (STUDY.parent / "skirt-tune-2").exists()
    with pytest.raises(RunError, match="folds: 2, not 3"):
        begin(with_options(folds=3), resume=True)


def test_the_command_to_go_on_has_the_options_of_the_search(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(timing, "measure_speed", lambda config, contexts: Speed(1.0, 1.0))
    options = {"trials": 3, "seconds": 1.5e6, "confirm": 2, "best_file": Path("my best.yaml")}
    study = begin(with_options(**options))
    words = shlex.split(study.resume_command)
    assert words[:2] == ["fashionai", "tune"]
    with command.make_context("tune", words[2:]) as context:
        given = context.params
    assert given["run_path"] == STUDY
    assert given["resume"]
    assert (given["trials"], given["seconds"], given["confirm"]) == (3, 1.5e6, 2)
    assert (given["out"], given["device"]) == (Path("my best.yaml"), "cpu")


@pytest.mark.parametrize("seconds", [0.25, 90.0, 1036800.0, 1234567.875, 1e17])
def test_any_time_is_written_as_it_is_read(seconds: float) -> None:
    words = Given(seconds=seconds).resume_options("auto").split()
    assert words[0] == "--time"
    (option,) = (each for each in command.params if each.name == "seconds")
    assert option.type_cast_value(click.Context(command), words[1]) == seconds


def test_what_cannot_be_written_is_told_with_the_command_of_the_search() -> None:
    study = begin(with_options(trials=1))
    (STUDY / "trial-0/best.params/folder").mkdir(parents=True)
    with pytest.raises(TrainingError) as caught:
        search(study, Budget(trials=1), lambda trials: None)
    assert caught.value.message.startswith(f"trial 0: {STUDY}/trial-0/best.params: ")
    assert caught.value.hint == f"Mend this, then: {study.resume_command}"


def test_the_time_of_a_trial_counts_images_with_pseudo_labels(
    prepared_skirts: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("data").unlink()
    shutil.copytree(prepared_skirts / "data", "data")
    config, contexts = load_config(CONFIG, ["epochs=2"]), choose_devices("gluon", "cpu").contexts
    mark_half_as_pseudo(Path(config.data.folder) / config.task_names[0] / MANIFEST)
    monkeypatch.setattr(timing, "measure_speed", lambda config, contexts: Speed(1.0, 1.0))
    whole = 2 * (84 + 12)
    assert timing.trial_seconds(config, contexts, None) == whole
    # Each of four folds trains on three quarters and validates on one.
    assert timing.trial_seconds(config, contexts, 4) == 4 * whole
    assert timing.cost_bound(1.5 * timing.FEWEST_TRIALS * whole, whole) == 1.5


def test_a_time_that_the_first_trial_exceeds_is_told_before_it_trains(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(timing, "measure_speed", lambda config, contexts: Speed(1.0, 1.0))
    begin(with_options(trials=None, seconds=60.0))
    (told,) = [each.getMessage() for each in caplog.records if each.levelname == "WARNING"]
    assert "one trial is estimated to take 2 min, longer than --time 60 s" in told
    caplog.clear()
    begin(with_options(trials=None, seconds=97.0), overwrite=True)
    assert not [each for each in caplog.records if each.levelname == "WARNING"]


def mark_half_as_pseudo(manifest: Path) -> None:
    with open(manifest, newline="") as handle:
        rows = [*csv.DictReader(handle)]
    train = [row for row in rows if row["split"] == "train"]
    assert len(train) == 84
    for row in train[::2]:
        row[PSEUDO_COLUMN] = "0.99"
    with open(manifest, "w", newline="") as handle:
        writer = csv.DictWriter(handle, [*rows[0], *({PSEUDO_COLUMN} - {*rows[0]})], restval="")
        writer.writeheader()
        writer.writerows(rows)


def test_a_search_is_resumed_with_the_limit_that_was_given_last() -> None:
    def resumed(**given: Any) -> tuple[object, object]:
        return tuple(open_study(Given(**given), STUDY, "cpu", [], no_bar, resume=True).budget)

    begin(with_options(trials=3))
    assert resumed() == (3, None)
    assert resumed(trials=5) == (5, None)
    assert resumed() == (5, None)
    assert resumed(seconds=90.5) == (None, 90.5)
    assert resumed() == (None, 90.5)


@pytest.mark.parametrize(
    ("limits", "error"),
    [
        ("", "nothing says when this search ends. Give --trials N or --time TIME"),
        ("trials: many", "does not hold the limits of a search. Give --trials N"),
        ("seconds: .nan", "does not hold the limits of a search. Give --trials N"),
    ],
)
def test_a_search_that_does_not_tell_its_limit_asks_for_one(limits: str, error: str) -> None:
    file = begin().path / "tune.yaml"
    kept = [
        line for line in file.read_text().splitlines() if not line.startswith(("trials", "sec"))
    ]
    file.write_text("\n".join([*kept, limits, ""]))
    with pytest.raises(FashionAIError) as caught:
        open_study(Given(), STUDY, "cpu", [], no_bar, resume=True)
    assert error in str(caught.value)


def test_a_search_without_a_limit_is_not_begun() -> None:
    with pytest.raises(ConfigError, match="nothing says when this search ends"):
        begin(with_options(trials=None), resume=True)
    assert not STUDY.exists()


def test_the_space_of_a_search_is_shown_and_nothing_is_trained(
    capsys: pytest.CaptureFixture[str],
) -> None:
    begin()
    (STUDY / "space.yaml").write_text("optimizer.lr: [0.03]\n")
    before = {file: file.read_bytes() for file in STUDY.rglob("*") if file.is_file()}
    for options in ((), ("--config", CONFIG), ("--trials", "5")):
        assert fashionai("tune", "--run", STUDY, "--resume", "--show-space", *options) == 0
        assert capsys.readouterr().out == "optimizer.lr: [0.03]\n"
    assert {file: file.read_bytes() for file in STUDY.rglob("*") if file.is_file()} == before
    assert fashionai("tune", "--run", "runs/other", "--resume", "--show-space") == 2
    assert "not a search" in capsys.readouterr().err
    new = ("tune", "--config", CONFIG, "--space", "space.yaml", "--run", "runs/other")
    assert fashionai(*new, "--show-space") == 0
    assert capsys.readouterr().out == "optimizer.lr: [0.02]\n"
    assert not Path("runs/other").exists()
