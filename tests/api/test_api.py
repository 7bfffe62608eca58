"""The functions for scripts: the same results as the commands, as tables."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import fashionai
from fashionai.errors import ConfigError, DataError, RunError
from tests.support.commands import ROOT
from tests.support.commands import fashionai as command
from tests.support.data_trees import write_class_folders, write_table

CLASSES = ["cat", "dog", "owl"]


def test_a_frame_is_prepared_as_its_file_is(tmp_path: Path) -> None:
    write_table(tmp_path)
    images = tmp_path / "images"
    labels = pd.read_csv(tmp_path / "labels.csv", dtype=str)
    for out, table in (("a", tmp_path / "labels.csv"), ("b", labels)):
        counts = fashionai.prepare("birds", tmp_path / out, table=table, images=images).to_frame()
        assert list(counts.index) == CLASSES
        assert counts[["train", "val"]].sum().sum() == len(labels)
        assert (counts[["rejected", "duplicates"]] == 0).all(axis=None)
    manifests = [(tmp_path / out / "birds/manifest.csv").read_text() for out in "ab"]
    assert manifests[0] == manifests[1]


def test_columns_and_classes_are_named(tmp_path: Path) -> None:
    write_table(tmp_path)
    labels = pd.read_csv(tmp_path / "labels.csv").rename(columns={"path": "p", "label": "l"})
    counts = fashionai.prepare(
        "birds",
        tmp_path / "out",
        table=labels,
        images=tmp_path / "images",
        columns={"path": "p", "label": "l"},
        classes=CLASSES[::-1],
    ).to_frame()
    assert list(counts.index) == CLASSES[::-1]


def test_folders_and_sources_are_prepared(tmp_path: Path) -> None:
    write_class_folders(tmp_path / "pets", {"train": 4, "val": 2})
    counts = fashionai.prepare("pets", tmp_path / "out", folders=tmp_path / "pets").to_frame()
    assert counts.loc["owl", ["train", "val"]].tolist() == [4, 2]


def test_known_tasks_are_prepared_by_name_or_from_what_was_read(fashionai_data: Path) -> None:
    by_name = fashionai.prepare("skirt", fashionai_data / "a", data=fashionai_data)
    source = fashionai.read_data_set(fashionai.find_task("skirt"), fashionai_data)
    assert fashionai.prepare(source, fashionai_data / "b").counts == by_name.counts


def test_a_finished_run_is_resumed_at_once_and_never_overwritten(inside: Path) -> None:
    config = fashionai.load_config(inside / "runs/birds/config.yaml")
    before = (inside / "runs/birds/best.params").read_bytes()
    assert str(fashionai.train(config, resume=True)) == "runs/birds"
    with pytest.raises(RunError, match="another configuration"):
        fashionai.train(config, ["epochs=2"], run="runs/birds", resume=True)
    assert (inside / "runs/birds/best.params").read_bytes() == before
    assert str(fashionai.train(config)) == "runs/birds-2"


def test_predictions_are_those_of_the_table_that_the_command_writes(inside: Path) -> None:
    frame = fashionai.predict("images", "runs/birds")
    assert command("predict", "--out", "b.csv", "--run", "runs/birds", "--questions", "images") == 0
    written = pd.read_csv("b.csv")
    assert frame["image"].tolist() == [f"images/{path}" for path in written["path"]]
    assert frame["class"].tolist() == written["class"].tolist()
    assert (frame["task"] == "birds").all()
    pd.testing.assert_frame_equal(frame[CLASSES], written[CLASSES])
    assert frame["probability"].tolist() == frame[CLASSES].max(axis=1).tolist()


def test_several_images_and_runs_are_listed(inside: Path) -> None:
    images = pd.Series(["images/0001.jpg", "images/0000.jpg"])
    frame = fashionai.predict(images, [Path("runs/birds")], crops=1)
    assert frame["image"].tolist() == images.tolist()


def test_scores_are_those_of_the_command(inside: Path) -> None:
    scores = fashionai.evaluate("runs/birds", crops=1).loc["birds"]
    arguments = ("--run", "runs/birds", "--crops", "1", "--json", "scores.json")
    assert command("evaluate", *arguments) == 0
    expected = json.loads(Path("scores.json").read_text())["tasks"]["birds"]
    assert scores["rows"] == expected.pop("n")
    for name, (low, high) in expected.pop("intervals").items():
        expected.update({f"{name}_low": low, f"{name}_high": high})
    assert scores.drop("rows").to_dict() == expected


def test_a_prediction_file_is_scored_by_labels(inside: Path) -> None:
    assert command("predict", "--out", "v.csv", "--run", "runs/birds", "--split", "val") == 0
    by_file = fashionai.evaluate("v.csv", labels="data/train_valid")
    by_run = fashionai.evaluate("runs/birds")
    assert by_file.iloc[0].drop("rows").tolist() == pytest.approx(
        by_run.iloc[0].drop("rows").tolist()
    )


def test_a_threshold_decides_what_is_detected(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    images, cat = ["a.jpg", "b.jpg", "c.jpg", "d.jpg"], np.array([0.9, 0.6, 0.4, 0.2])
    labels = pd.DataFrame({"path": images, "label": ["cat", "cat", "dog", "dog"]})
    written = pd.DataFrame({"path": images, "class": np.where(cat > 0.5, "cat", "dog")})
    written["probability"] = np.maximum(cat, 1 - cat)
    frame = written.assign(cat=cat, dog=1 - cat)
    frame.to_csv("frame.csv", index=False)
    labels.to_csv("truth.csv", index=False)
    options = ("--threshold", "0.3", "--json", "scores.json")
    assert command("evaluate", "--predictions", "frame.csv", "--labels", "truth.csv", *options) == 0
    (expected,) = json.loads(Path("scores.json").read_text())["tasks"].values()
    (scores,) = fashionai.evaluate(frame, labels=labels, threshold=0.3).to_dict("records")
    found = {name: scores[f"detection_{name}"] for name in expected["answers"]}
    assert found == expected["answers"]
    assert found["accuracy"] == 0.75


def test_predictions_of_a_frame_are_scored_as_their_file_is(inside: Path) -> None:
    labels = pd.read_csv("labels.csv", dtype=str)
    labels["path"] = "images/" + labels["path"]
    frame = fashionai.predict("images", "runs/birds", crops=1)
    frame.to_csv("frame.csv", index=False)
    labels.to_csv("truth.csv", index=False)
    by_file = fashionai.evaluate("frame.csv", labels="truth.csv")
    pd.testing.assert_frame_equal(
        fashionai.evaluate(frame, labels=labels).reset_index(drop=True),
        by_file.reset_index(drop=True),
    )
    assert by_file["rows"].tolist() == [len(labels)]
    shutil.copy("frame.csv", "copy.csv")
    assert command("compare", "frame.csv", "copy.csv", "--labels", "truth.csv") == 0
    assert command("ensemble", "frame.csv", "copy.csv", "--out", "mean.csv") == 0
    assert command("evaluate", "--predictions", "mean.csv", "--labels", "truth.csv") == 0


def test_the_task_of_a_frame_has_the_name_in_its_column_or_the_given_one(inside: Path) -> None:
    labels = pd.read_csv("labels.csv", dtype=str)
    labels["path"] = "images/" + labels["path"]
    frame = fashionai.predict("images", "runs/birds", crops=1)
    nameless = frame.rename(columns={"image": "path"}).drop(columns="task")

    def name(*arguments, **options) -> str:
        (found,) = fashionai.evaluate(*arguments, labels=labels, **options).index
        return found

    assert name(frame) == "birds"
    assert name(frame, task="birds") == "birds"
    assert name(nameless, task="owls") == "owls"
    assert name(nameless) == "predictions"
    nameless.to_csv("nameless.csv", index=False)
    assert name("nameless.csv") == "nameless"
    frame.to_csv("named.csv", index=False)
    assert name("named.csv") == "birds"
    with pytest.raises(DataError, match="DataFrame: has rows of birds, and none of owls"):
        name(frame, task="owls")
    with pytest.raises(ConfigError, match="task needs labels"):
        fashionai.evaluate("named.csv", task="birds")
    assert list(fashionai.evaluate("runs/birds", task="birds").index) == ["birds"]


def test_labels_of_other_tasks_below_the_same_folder_are_left_out(
    inside: Path, tmp_path: Path
) -> None:
    """Two tasks with the same images and classes, and other labels."""
    labels = pd.read_csv("labels.csv", dtype=str)
    changed = labels.assign(label=labels["label"].map(dict(zip(CLASSES, [*CLASSES[1:], "cat"]))))
    fashionai.prepare("birds", tmp_path, table=labels, images="images")
    fashionai.prepare("moods", tmp_path, table=changed, images="images")
    frame = fashionai.predict("images", "runs/birds", crops=1)
    frame["image"] = frame["image"].map(lambda name: Path(name).relative_to("images").as_posix())
    one = fashionai.evaluate(frame, labels=tmp_path / "birds")
    pd.testing.assert_frame_equal(fashionai.evaluate(frame, labels=tmp_path), one)

    file = tmp_path / "v.csv"
    nameless = frame.rename(columns={"image": "path"}).drop(columns="task")
    nameless.to_csv(file, index=False)
    pd.testing.assert_frame_equal(fashionai.evaluate(file, labels=tmp_path, task="birds"), one)
    with pytest.raises(DataError, match="has labels of birds and of moods, and the prediction"):
        fashionai.evaluate(file, labels=tmp_path)


def test_a_frame_of_two_tasks_is_no_prediction_file(inside: Path) -> None:
    frame = fashionai.predict("images", "runs/birds", crops=1)
    other = frame.assign(task="pets")
    with pytest.raises(DataError, match="DataFrame:3: found rows of several tasks"):
        fashionai.evaluate(pd.concat([frame[:1], other[1:]]), labels="labels.csv")
    other = other.rename(columns={"owl": "bat"})
    with pytest.raises(DataError, match="DataFrame:2: found rows of several tasks"):
        fashionai.evaluate(pd.concat([frame, other]), labels="labels.csv")


def test_the_parts_take_texts_as_paths(inside: Path) -> None:
    run = fashionai.Run.open("runs/birds")
    assert run.path == Path("runs/birds")
    history = fashionai.RunFolder("runs/birds").history_file
    assert history == Path("runs/birds/history.csv")
    assert fashionai.load_config("runs/birds/config.yaml") == run.config
    assert fashionai.CrossValidation("runs/folds").scores_file == Path("runs/folds/scores.json")
    assert fashionai.create_run("runs/new").path == Path("runs/new")
    image = pd.read_csv("labels.csv")["path"][0]
    contexts = fashionai.contexts("cpu")
    (as_text,) = fashionai.predict_images([f"images/{image}"], [run], contexts).values()
    (as_path,) = fashionai.predict_images([Path("images", image)], [run], contexts).values()
    np.testing.assert_array_equal(as_text, as_path)
    fashionai.predict("images", run).to_csv("predicted.csv", index=False)
    labels = pd.read_csv("labels.csv").assign(path=lambda table: "images/" + table["path"])
    labels.to_csv("truth.csv", index=False)
    (evaluation,) = fashionai.evaluate_file("predicted.csv", ["truth.csv"])
    assert evaluation.rows == len(labels)


def test_prepared_tasks_are_found_by_name(inside: Path, tmp_path: Path) -> None:
    assert fashionai.find_task("birds").classes == tuple(CLASSES)
    assert fashionai.find_task("birds", "data/train_valid").classes == tuple(CLASSES)
    assert fashionai.find_task("skirt").name == "skirt_length_labels"
    with pytest.raises(ConfigError, match=r"unknown task 'bird'. Did you mean 'birds'\?"):
        fashionai.find_task("bird")
    with pytest.raises(ConfigError, match="unknown task 'birds'"):
        fashionai.find_task("birds", tmp_path)


def test_a_run_shows_its_folder(inside: Path) -> None:
    assert repr(fashionai.Run.open(Path("runs/birds"))) == "Run('runs/birds')"


def test_a_starter_configuration_holds_keys_of_the_task(inside: Path) -> None:
    config = fashionai.starter_config("birds")
    assert config["task"] == "birds"
    assert config["model"]["name"] == "small_cnn"


def test_preparing_imports_neither_mxnet_nor_pandas() -> None:
    program = (
        "import sys, fashionai; fashionai.prepare, fashionai.predict\n"
        "heavy = {'mxnet', 'pandas', 'gluoncv'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", program], check=True, cwd=ROOT)


def test_bad_images_are_left_out_on_request(
    inside: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    good, bad = sorted((inside / "images").rglob("*.jpg"))[0], tmp_path / "bad.jpg"
    bad.write_text("no image")
    with pytest.raises(DataError, match=r"bad\.jpg: cannot be used"):
        fashionai.predict([good, bad], "runs/birds", crops=1)
    table = fashionai.predict([good, bad], "runs/birds", crops=1, skip_bad=True)
    assert list(table["image"]) == [str(good)]
    assert f"left out: {bad}: " in caplog.text
