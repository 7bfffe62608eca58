"""Averages of runs, compared with averages that NumPy computes and with the stock network."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from fashionai import soup as soup_module
from fashionai.config import load_config, save_config
from fashionai.datasets.prepared.samples import read_samples
from fashionai.errors import FashionAIError
from fashionai.frameworks.mxnet import import_mxnet
from fashionai.models.zoo import build_network
from fashionai.reporting.live import live_table
from fashionai.runs import Run, RunFolder, create_run
from fashionai.runs.recorded_weights import INITIAL_SOURCE, INITIAL_WEIGHTS
from fashionai.soup import (
    STATISTICS,
    check_averageable,
    estimate_statistics,
    make_soup,
    mean_weights,
)
from fashionai.training.trainer import Trainer
from tests.support.commands import fashionai
from tests.support.installed import needs_torch
from tests.support.learners import DEVICES, open_one
from tests.support.references import MEAN, STD, naive_views
from tests.support.resuming import parameters
from tests.support.trained_runs import write_config

mx = import_mxnet()
ENGINES = ["gluon", pytest.param("torch", marks=needs_torch)]


def train(name: str, *overrides: str, engine: str = "gluon") -> Path:
    config = load_config(write_config(Path(), epochs=1), [f"engine={engine}", *overrides])
    run = create_run(Path(name))
    Trainer(config, DEVICES[engine]).fit(run)
    return run.path


@pytest.fixture(scope="module")
def kin(prepared: Path) -> Path:
    """A folder with runs a, b and c, which were trained from one run in different ways."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(prepared)
        start = f"model.pretrained={train('runs/base', 'epochs=2')}/best.params"
        train("runs/a", start, "seed=1")
        train("runs/b", start, "seed=2", "optimizer.lr=0.02")
        # Damaged by its learning rate.
        train("runs/c", start, "seed=4", "optimizer.lr=3")
    return prepared


@pytest.fixture(autouse=True)
def inside(kin: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Few steps, so that the tests are fast."""
    monkeypatch.chdir(kin)
    monkeypatch.setattr(soup_module.estimate_statistics, "__defaults__", (3,))


RUNS = [Path(f"runs/{name}") for name in "abc"]


def metrics_of(run: Path) -> dict:
    return json.loads((run / "metrics.json").read_text())


def centre_crops(run: Path, split: str) -> np.ndarray:
    paths = read_samples(Run.open(run).config, split).paths
    images = [(naive_views(path, 1, resize=36)[0] / 255 - MEAN) / STD for path in paths]
    return np.stack(images).transpose(0, 3, 1, 2).astype(np.float32)


def test_the_weights_are_the_mean_and_the_score_is_that_of_the_stock_network() -> None:
    soup = make_soup(RUNS[:2], Path("runs/two"), DEVICES["gluon"], method="uniform")
    one, other, found = (parameters(run / "best.params") for run in (*RUNS[:2], Path("runs/two")))
    statistics = {name for name in found if name.endswith(STATISTICS)}
    assert len(statistics) == 12
    assert list(found) == list(one)
    for name in found.keys() - statistics:
        mean = (one[name].astype(np.float64) + other[name]) / 2
        assert np.array_equal(found[name], mean.astype(np.float32)), name
    network = build_network("small_cnn", 6, 32)
    network.load_parameters("runs/two/best.params")
    logits = network(mx.nd.array(centre_crops(Path("runs/two"), "val"))).asnumpy()
    true = read_samples(Run.open("runs/two").config, "val").marks.argmax(axis=1)
    assert np.isclose(soup.scores["accuracy"], np.mean(logits.argmax(axis=1) == true))
    losses = np.log(np.exp(logits).sum(axis=1)) - logits[np.arange(len(true)), true]
    assert np.isclose(soup.scores["log_loss"], losses.mean(), atol=1e-4)
    assert metrics_of(Path("runs/two"))["best"]["log_loss"] == soup.scores["log_loss"]


def test_greedy_is_the_recipe_of_the_paper() -> None:
    """A naive loop over the averages that uniform writes."""
    soup = make_soup(RUNS, Path("runs/greedy"), DEVICES["gluon"])
    ranked = [each.run.path for each in soup.ingredients]
    best = [metrics_of(path)["best"] for path in ranked]
    keys = [(scores["map"], -scores["log_loss"]) for scores in best]
    assert keys == sorted(keys, reverse=True)
    taken, key = ranked[:1], keys[0]
    for number, path in enumerate(ranked[1:]):
        out = Path(f"runs/try{number}")
        scores = make_soup([*taken, path], out, DEVICES["gluon"], method="uniform").scores
        if (scores["map"], -scores["log_loss"]) >= key:
            taken, key = [*taken, path], (scores["map"], -scores["log_loss"])
    assert [each.run.path for each in soup.ingredients if each.taken] == taken
    assert (soup.scores["map"], -soup.scores["log_loss"]) == pytest.approx(key, rel=1e-5)
    assert 1 <= len(taken) < 3  # the damaged run is left out
    described = metrics_of(Path("runs/greedy"))["soup"]["runs"]
    assert {name for name, each in described.items() if each["taken"]} == set(map(str, taken))


@pytest.mark.parametrize("engine", ENGINES)
def test_statistics_become_those_of_the_weights(engine: str) -> None:
    """Without augmentation, those of the first layer are known from its output."""
    overrides = ["data.augment=[]", f"engine={engine}", "data.crop=32", "batch_size=84"]
    config = load_config(write_config(Path(), epochs=1), overrides)
    learner = open_one(config, read_samples(config, "train"), engine)
    before = learner.parameters()
    estimate_statistics(learner, steps=3)
    after = learner.parameters()
    for name in before:
        changed = not np.array_equal(before[name], after[name])
        assert changed == name.endswith(STATISTICS), name
    first, mean, variance = (
        next(name for name in after if name.endswith(end))
        for end in ("weight", "running_mean", "running_var")
    )
    images = mx.nd.array(centre_crops(RUNS[0], "train"))
    weight = mx.nd.array(after[first])
    output = mx.nd.Convolution(
        images, weight, kernel=(3, 3), pad=(1, 1), num_filter=32, no_bias=True
    ).asnumpy()
    left = 0.9**3  # of the first statistics, 0 and 1
    expected = (1 - left) * output.mean(axis=(0, 2, 3))
    np.testing.assert_allclose(after[mean], expected, rtol=1e-3, atol=1e-4)
    expected = left + (1 - left) * output.var(axis=(0, 2, 3))
    np.testing.assert_allclose(after[variance], expected, rtol=1e-3)


@pytest.mark.parametrize(("learning", "estimated"), [("head,all", True), ("head,head", False)])
def test_the_order_of_the_runs_does_not_matter(learning: str, estimated: bool) -> None:
    """Statistics are estimated where they belong to layers that learnt in any of the runs."""
    for name, trainable in zip("de", learning.split(",")):
        shutil.rmtree(f"runs/{name}", ignore_errors=True)
        shutil.copytree("runs/a", f"runs/{name}")
        config = Run.open(Path(f"runs/{name}")).config.changed({"trainable": trainable})
        save_config(config, Path(f"runs/{name}/config.yaml"))
    places = [Path("runs/d"), Path("runs/e")]
    soups = []
    for runs in (places, places[::-1]):
        make_soup(runs, Path("runs/ordered"), DEVICES["gluon"], overwrite=True)
        soups.append(parameters(Path("runs/ordered/best.params")))
    one, other = soups
    assert all(np.array_equal(one[name], other[name]) for name in one)
    own = parameters(Path("runs/a/best.params"))
    changed = [name for name in own if not np.array_equal(one[name], own[name])]
    assert bool(changed) == estimated
    assert all(name.endswith(STATISTICS) for name in changed)


def test_every_command_takes_it(capsys: pytest.CaptureFixture[str]) -> None:
    out = "runs/all"
    runs = [argument for run in RUNS[:2] for argument in ("--run", run)]
    assert fashionai("soup", *runs, "--method", "uniform", "--out", out) == 0
    assert "runs/all: the average of 2 of 2 runs" in capsys.readouterr().out
    assert fashionai("runs") == 0
    assert "2 runs*" in capsys.readouterr().out
    (line,) = [each for each in live_table(Path("runs")).splitlines() if out in each]
    assert line.split()[1:4] == ["finished", "2", "runs"]
    assert fashionai("evaluate", "--run", out, "--crops", "1") == 0
    scores = metrics_of(Path(out))["best"]
    assert metrics_of(Path(out))[INITIAL_SOURCE] == "runs/base/best.params"
    assert f"{scores['accuracy']:.4f}" in capsys.readouterr().out
    assert fashionai("predict", "--run", out, "--split", "val", "--out", "soup.csv") == 0
    assert "the mean of 2 runs" in capsys.readouterr().out
    assert fashionai("export", "--run", out, "--format", "gluon", "--out", "exported") == 0
    assert fashionai("report", out, "--out", "soup.html") == 0
    assert "The weights are the mean of 2 runs" in Path("soup.html").read_text()
    assert fashionai("train", "--run", out, "--resume") == 0


@needs_torch
def test_both_engines_begin_with_the_same_weights() -> None:
    recorded = {
        engine: metrics_of(train(f"runs/same-{engine}", engine=engine))[INITIAL_WEIGHTS]
        for engine in DEVICES
    }
    assert len(set(recorded.values())) == 1
    assert recorded["gluon"] != metrics_of(RUNS[0])[INITIAL_WEIGHTS]
    mixed = [Path(f"runs/same-{engine}") for engine in DEVICES]
    soup = make_soup(mixed, Path("runs/mixed"), DEVICES["gluon"], method="uniform")
    assert all(each.taken for each in soup.ingredients)


def test_a_mean_of_files_is_that_of_numpy(tmp_path: Path) -> None:
    files = []
    for number in range(3):
        files.append(tmp_path / f"{number}.params")
        values = np.random.default_rng(number).normal(size=(2, 3)).astype(np.float32)
        mx.nd.save(str(files[-1]), {"a": mx.nd.array(values), "b": mx.nd.array(values[0])})
    found = mean_weights(files)
    stacked = np.stack([parameters(file)["a"] for file in files])
    assert np.array_equal(found["a"], stacked.astype(np.float64).mean(axis=0).astype(np.float32))
    assert found["b"].dtype == np.float32


@pytest.mark.parametrize(
    ("other", "message"),
    [
        ("runs/base", "runs/base and runs/a began with different weights, so they cannot be "
         "averaged. Train both from one run, for example model.pretrained=runs/a/best.params"),
        ("runs/size", "runs/size: data.crop is 28, and that of runs/a is 32"),
        ("runs/absent", "runs/absent: does not exist"),
        ("runs/a", "runs/a: is one run, expected several to average"),
    ],
)  # fmt: skip
def test_runs_that_do_not_belong_together_are_refused(
    other: str, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    if other == "runs/size" and not Path(other).exists():
        shutil.copytree("runs/a", other)
        config = Path(other) / "config.yaml"
        config.write_text(config.read_text().replace("crop: 32", "crop: 28"))
    assert fashionai("soup", "--run", "runs/a", "--run", other, "--out", "runs/none") == 2
    assert message in capsys.readouterr().err
    assert not Path("runs/none").exists()


def test_folds_are_not_averaged() -> None:
    runs = []
    for number in (1, 2):
        run = Run(RunFolder(Path(f"folds/fold-{number}")))
        config = Run.open("runs/a").config
        fold = {"data.fold": number, "data.folds_file": "folds/folds.csv"}
        run.__dict__["config"] = config.changed(fold)
        runs.append(run)
    message = "data.fold is 2, .* is 1. Each fold has seen the validation images of the others;"
    with pytest.raises(FashionAIError, match=message):
        check_averageable(runs)


def test_no_run_is_lost() -> None:
    contents = {file: file.read_bytes() for file in Path("runs/a").iterdir()}
    for out, message in (("runs/base", "holds a run already"), ("runs/a", "is one of the runs")):
        with pytest.raises(FashionAIError, match=message):
            make_soup(RUNS[:2], Path(out), DEVICES["gluon"], overwrite=out == "runs/a")
    assert contents == {file: file.read_bytes() for file in Path("runs/a").iterdir()}
    shutil.copytree("runs/a", "runs/old")
    make_soup(RUNS[:2], Path("runs/old"), DEVICES["gluon"], overwrite=True)
    assert Run.open("runs/old").averaged_runs


def test_a_folder_of_the_runs_or_of_other_files_is_no_place(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Refused before anything is scored."""
    monkeypatch.setattr(soup_module, "_Scorer", None)
    study = tmp_path / "study"
    runs = [Path(shutil.copytree(run, study / "deep" / run.name)) for run in RUNS[:2]]
    (study / "tune.yaml").write_text("")
    (tmp_path / "link").symlink_to(study)
    for out in (study, tmp_path / "link"):
        with pytest.raises(FashionAIError, match=f"^{out}: holds {runs[0]}, one of the runs to av"):
            make_soup(runs, out, DEVICES["gluon"], overwrite=True)
    notes = tmp_path / "thesis/notes.txt"
    notes.parent.mkdir()
    notes.write_text("")
    for overwrite in (False, True):
        message = f"^{notes.parent}: holds other files than those of a run. Name another --out$"
        with pytest.raises(FashionAIError, match=message):
            make_soup(runs, notes.parent, DEVICES["gluon"], overwrite=overwrite)


def test_runs_without_a_record_need_the_same_seed(caplog: pytest.LogCaptureFixture) -> None:
    for name, source in (("old1", "a"), ("old2", "a"), ("old3", "b")):
        run = Path(shutil.copytree(f"runs/{source}", f"runs/{name}"))
        metrics = metrics_of(run)
        del metrics[INITIAL_WEIGHTS]
        (run / "metrics.json").write_text(json.dumps(metrics))
    olds = [Path(f"runs/old{number}") for number in (1, 2, 3)]
    make_soup(olds[:2], Path("runs/olds"), DEVICES["gluon"])
    assert "its initial weights are not recorded" in caplog.text
    with pytest.raises(FashionAIError, match="began with different weights"):
        make_soup(olds, Path("runs/none"), DEVICES["gluon"])
