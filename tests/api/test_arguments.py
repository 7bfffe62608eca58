"""The arguments of the functions for scripts, and errors that name them."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import fashionai
from fashionai.datasets.reading import read_own_table
from fashionai.errors import ConfigError, DataError, FashionAIError, shown


@pytest.mark.parametrize(
    "arguments",
    [
        {"table": pd.DataFrame({"path": ["a.jpg"], "label": ["x"]})},
        {"images": "images"},
        {"table": "labels.csv", "images": "images", "folders": "images"},
        {"folders": "images", "columns": {"path": "p"}},
        {"classes": ["owl"]},
    ],
    ids=lambda arguments: "-".join(arguments),
)
def test_arguments_that_do_not_go_together_are_refused(arguments: dict, inside: Path) -> None:
    with pytest.raises(ConfigError, match="prepare: "):
        fashionai.prepare("birds", **arguments)


@pytest.mark.parametrize(
    "arguments",
    [
        {"table": "labels.csv"},
        {"table": pd.DataFrame({"path": ["a.jpg"], "label": ["x"]})},
        {"images": "images"},
        {"columns": {"path": "path"}},
        {"classes": ["owl"]},
        {"data": "images"},
    ],
    ids=lambda arguments: "-".join(arguments),
)
def test_what_has_been_read_is_not_read_in_another_way(arguments: dict, inside: Path) -> None:
    data_set = read_own_table("birds", Path("labels.csv"), Path("images"), ())
    (name,) = arguments
    with pytest.raises(ConfigError, match=f"prepare: {name} goes with the name of a task"):
        fashionai.prepare(data_set, "never", **arguments)
    assert not Path("never").exists()


def test_paths_and_numbers_of_numpy_are_values_of_a_configuration(inside: Path) -> None:
    folder, crop = Path("data/train_valid"), np.int32(32)
    tree = {"task": "birds", "model": {"name": "small_cnn", "pretrained": np.bool_(False)}}
    tree["data"] = {"folder": folder, "crop": crop, "resize_short": 36}
    rate = np.float32(0.25)
    run = fashionai.train(tree, {"epochs": np.int64(1), "optimizer.lr": rate}, run="runs/numpy")
    assert (run.config.data.folder, run.config.optimizer.lr) == (str(folder), 0.25)
    shutil.rmtree("runs/numpy")


@pytest.mark.parametrize(
    ("argument", "value", "expected"),
    [
        *(("batch_size", value, "a whole number from 1") for value in (0, -1, 2.5, "8")),
        *(("image_size", value, "a whole number from 8 to 4096") for value in (0, 5000, "64")),
        *(("gpus", value, "a whole number from 0") for value in (-1, "0", 0.5)),
    ],
)
def test_numbers_out_of_their_range_are_refused(
    inside: Path, argument: str, value: object, expected: str
) -> None:
    message = f"{argument}: found {value!r}, expected {expected}"
    for call, what in ((fashionai.predict, ["images"]), (fashionai.evaluate, [])):
        with pytest.raises(ConfigError, match=message):
            call(*what, "runs/birds", **{argument: value})


def test_wrong_keys_are_reported_together(inside: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        fashionai.train({"task": "birds", "epoch": 3}, {"optimizer.rate": 1, "epochs": 0})
    assert "3 errors" in str(caught.value)


@pytest.mark.parametrize("name", ["class", "task", "image", "probability"])
def test_a_class_with_the_name_of_a_column_is_refused(inside: Path, name: str) -> None:
    shutil.copytree("runs/birds", f"runs/{name}")
    classes = Path(f"runs/{name}/classes.json")
    classes.write_text(classes.read_text().replace("owl", name))
    with pytest.raises(ConfigError, match=f"birds has a class '{name}'"):
        fashionai.predict("images", f"runs/{name}")
    shutil.rmtree(f"runs/{name}")


def test_labels_are_read_once(inside: Path) -> None:
    """Not twice, of which a generator would give nothing the second time."""
    few = pd.read_csv("labels.csv", dtype=str)[:5]
    few.assign(path="images/" + few["path"]).to_csv("few.csv", index=False)
    generated = (Path(name) for name in ["few.csv"])
    assert fashionai.evaluate("runs/birds", labels=generated, crops=1).loc["birds", "rows"] == 5


def test_errors_do_not_name_temporary_files(tmp_path: Path) -> None:
    labels = pd.DataFrame({"path": ["a.jpg"], "label": ["x"]})
    with pytest.raises(DataError, match=r"^DataFrame:2: ") as caught:
        fashionai.prepare("birds", tmp_path, table=labels, images=tmp_path)
    assert "fashionai-" not in str(caught.value)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: fashionai.predict([], "runs/birds"), "no images to classify"),
        (lambda: fashionai.evaluate("runs/birds", "vaal"), "split: found 'vaal'. Did you mean"),
        (lambda: fashionai.evaluate(pd.DataFrame()), "a DataFrame of predictions needs labels"),
        (lambda: fashionai.evaluate("a.csv", labels=[3]), "expected a file or a DataFrame, found"),
        *(
            (
                lambda value=value: fashionai.evaluate("runs/birds", threshold=value),
                f"threshold: found {value!r}, expected a number from 0 to 1",
            )
            for value in (5, -1, float("nan"), "auto")
        ),
        (lambda: fashionai.evaluate("runs/birds", labels=[]), "labels: found an empty list"),
        (lambda: fashionai.evaluate("runs/birds", skip_bad=True), "skip_bad needs labels"),
        (lambda: fashionai.predict("images", []), "run: found an empty list"),
        *(
            (
                lambda call=call, what=what: call(f"runs/birds{what}", device="tpu"),
                "device: found 'tpu'. Choose from: auto, cpu, gpu",
            )
            for call, what in (
                (fashionai.train, "/config.yaml"),
                (fashionai.evaluate, ""),
                (fashionai.predict, ""),
            )
        ),
        (lambda: fashionai.evaluate("runs/birds", engine="glun"), "engine: found 'glun'. Did you"),
        (lambda: fashionai.evaluate("runs/birds", gpus=[0, 0]), "expected distinct indices"),
        (
            lambda: fashionai.train({"epochs": {1}}),
            r"config: found \{1\}, a set; expected text, numbers, lists and keys with values",
        ),
        (
            lambda: fashionai.predict(pd.DataFrame({"path": ["a.jpg"]}), "runs/birds"),
            r"^images: found a DataFrame, expected paths or addresses",
        ),
        (
            lambda: fashionai.predict(["a.jpg", 5], "runs/birds"),
            "images: found 5, expected paths or addresses",
        ),
        (lambda: fashionai.train(5), "config: expected keys with values, found 5"),
        (
            lambda: fashionai.train("runs/birds/config.yaml", run="labels.csv/run"),
            "labels.csv: ",
        ),
        (
            lambda: fashionai.prepare(
                "new", table="labels.csv", images="images", columns={"file": "path"}
            ),
            "columns: unknown role 'file'. Choose from: path, label, split, group",
        ),
        *(
            (
                lambda share=share: fashionai.prepare(
                    "new", table="labels.csv", images="images", val_fraction=share
                ),
                f"val_fraction: found {share}, expected a number from 0 to below 1",
            )
            for share in (2, -1, 1.0, float("nan"))
        ),
    ],
)
def test_errors_of_the_user_are_no_tracebacks(inside: Path, call, message: str) -> None:
    with pytest.raises(FashionAIError, match=message):
        call()
    assert not Path("data/train_valid/new").exists()


@pytest.mark.parametrize("name", ["\U0001f989", "a\u2028b", "no", "1:30", 'a"b', "é\x7f"])
def test_values_of_overrides_are_read_as_they_are(name: str) -> None:
    """They are passed on as JSON, of which YAML does not read every escape."""
    with pytest.raises(ConfigError) as caught:
        fashionai.train({"task": "skirt"}, {"monitor": name})
    assert f"monitor: found '{shown(name)}'. Choose from: " in str(caught.value)


def test_errors_name_arguments_in_place_of_options(inside: Path) -> None:
    with pytest.raises(DataError) as caught:
        fashionai.prepare("new", table="images")
    assert str(caught.value) == (
        "table: images is a folder, expected a CSV file. "
        "Class folders are prepared with `folders` images"
    )
    Path("bad.csv").write_text("path,label\nlabels.csv,x\nbad.csv,y\n")
    with pytest.raises(DataError, match="Give skip_bad=True to go on"):
        fashionai.prepare("new", table="bad.csv")
    with pytest.raises(ConfigError, match="data_set: found 'a b', expected a name"):
        fashionai.prepare("a b", folders="images")


def test_commands_in_errors_stay_as_they_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DataError) as caught:
        fashionai.starter_config("birds", tmp_path)
    assert f"fashionai prepare --task birds --out {tmp_path}" in caught.value.hint
