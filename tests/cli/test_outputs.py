"""Commands replace their own earlier results, and compute nothing for a place they cannot use."""

from pathlib import Path

import pytest

from fashionai.errors import ConfigError
from fashionai.files.outputs import check_output
from fashionai.predictions.formats import PREDICTIONS
from tests.support.commands import fashionai
from tests.support.trained_runs import images_to_predict


@pytest.fixture(autouse=True)
def _in_folder(trained: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(trained)


def test_own_results_are_replaced(trained: Path, tmp_path: Path) -> None:
    image = images_to_predict(trained)[0]
    of_run = ["--run", "runs/skirt", "--crops", "1"]
    for _ in range(2):
        out = tmp_path / "val.csv"
        assert fashionai("predict", *of_run, "--split", "val", "--out", out) == 0
        labels = ["--labels", "data/train_valid", "--json", tmp_path / "scores.json"]
        assert fashionai("evaluate", "--predictions", out, *labels) == 0
        files = ["--json", tmp_path / "c.json", "--csv", tmp_path / "c.csv"]
        assert fashionai("classify", *of_run, *files, image) == 0
        (tmp_path / "b.csv").write_bytes(out.read_bytes())
        assert fashionai("compare", out, tmp_path / "b.csv", "--out", tmp_path / "d.csv") == 0
        assert fashionai("ensemble", out, tmp_path / "b.csv", "--out", tmp_path / "e.csv") == 0
        grid = ["--rows", "1", "--columns", "2", "--out", tmp_path / "grid.png"]
        assert fashionai("preview", "--config", "skirt.yaml", *grid) == 0
        steps = ["--steps", "20", "--out", tmp_path / "plots"]
        assert fashionai("find-lr", "--config", "skirt.yaml", *steps) == 0


@pytest.mark.parametrize(
    "command",
    [
        "predict --run runs/skirt --split val --out {place}/x.csv",
        "classify --run runs/skirt --csv {place}/x.csv {image}",
        "classify --run runs/skirt --json {place}/x.json {image}",
        "evaluate --run runs/skirt --json {place}/x.json",
        "export --run runs/skirt --format safetensors --out {place}/exported",
        "find-lr --config skirt.yaml --out {place}/plots",
        "preview --config skirt.yaml --out {place}/x.png",
        "init skirt --out {place}/x.yaml",
    ],
)
def test_nothing_is_computed_for_a_place_that_cannot_be_used(
    command: str,
    trained: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise AssertionError("images are read for nothing")

    monkeypatch.setattr("fashionai.pipeline.loader.read_image", fail)
    monkeypatch.setattr("fashionai.engines.gluon.build_network", fail)
    monkeypatch.setattr("fashionai.starter.survey.read_header", fail)
    place = tmp_path / "file"
    place.write_text("text")
    words = command.format(place=place, image=images_to_predict(trained)[0])
    assert fashionai(*words.split()) == 2
    error = capsys.readouterr().err
    assert f"{place} is not a folder, so nothing can be written there" in error


@pytest.mark.parametrize(
    ("marks", "name"),
    [
        ("config.yaml classes.json", "best.params"),
        ("config.yaml classes.json", "config.yaml"),
        ("cross_validation.yaml config.base.yaml", "folds.csv"),
        ("tune.yaml config.base.yaml", "space.yaml"),
        ("task.json manifest.csv", "manifest.csv"),
        ("task.json manifest.csv.partial", "task.json"),
    ],
)
def test_files_of_runs_and_prepared_folders_are_never_replaced(
    tmp_path: Path, marks: str, name: str
) -> None:
    for file in {*marks.split(), name}:
        (tmp_path / file).write_text("content")
    with pytest.raises(ConfigError, match="is a file of the run or prepared folder"):
        check_output("--out", tmp_path / name, PREDICTIONS, overwrite=True)
    check_output("--out", tmp_path / "new.csv", PREDICTIONS)


@pytest.mark.parametrize("name", ["config.yaml", "tune.yaml", "task.json"])
def test_a_users_file_is_replaced_though_runs_have_one_of_its_name(
    tmp_path: Path, name: str
) -> None:
    (tmp_path / name).write_text("content")
    check_output("--out", tmp_path / name, PREDICTIONS, overwrite=True)
