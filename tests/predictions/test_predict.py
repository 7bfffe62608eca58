"""Predictions against a plain loop over the stock network."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from fashionai import predict as predict_frame
from fashionai.engines.guarded import GuardedEngine
from fashionai.errors import FashionAIError, TrainingError
from fashionai.families import find_task
from fashionai.frameworks.mxnet import import_mxnet
from fashionai.predictions.predict import (
    Request,
    predict,
    predict_images,
    predict_with_engine,
)
from fashionai.runs import Run
from tests.support.commands import fashionai
from tests.support.references import CROP, MEAN, RESIZE, STD, naive_views
from tests.support.trained_runs import images_to_predict, replace_weights

mx = import_mxnet()

SKIRT = find_task("skirt")


def stock_network(parameters: Path):
    """The zoo's own network with the saved file, and nothing of this project."""
    network = mx.gluon.model_zoo.vision.mobilenet0_25(classes=6)
    network.load_parameters(str(parameters))
    return network


def naive_probabilities(path: Path, network, count: int, *sizes: int) -> np.ndarray:
    answers = []
    for view in naive_views(path, count, *sizes):
        pixels = ((view / 255 - MEAN) / STD).transpose(2, 0, 1)[None].astype(np.float32)
        logits = network(mx.nd.array(pixels)).asnumpy()[0].astype(np.float64)
        powers = np.exp(logits - logits.max())
        answers.append(powers / powers.sum())
    return np.mean(answers, axis=0)


@pytest.mark.parametrize("crops", [1, 5, 10])
@pytest.mark.parametrize("batch_size", [1, 4])
def test_crops_agree_with_a_plain_loop_over_the_stock_network(
    trained: Path, monkeypatch: pytest.MonkeyPatch, crops: int, batch_size: int
) -> None:
    monkeypatch.chdir(trained)
    run = Run.open(Path("runs/skirt"))
    paths = images_to_predict(trained)
    options = {"crops": crops, "batch_size": batch_size}
    actual = predict_images(paths, [run], [mx.cpu()], **options)[SKIRT]
    network = stock_network(run.folder.best_parameters)
    expected = np.array([naive_probabilities(path, network, crops) for path in paths])
    np.testing.assert_allclose(actual, expected, atol=2e-5)
    np.testing.assert_allclose(actual.sum(axis=1), 1, atol=1e-12)
    assert np.ptp(expected, axis=0).max() > 0.1, "the network answers the same everywhere"


def test_views_may_have_another_size_than_in_training(
    trained: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Images are resized in proportion; also on the command line and from Python."""
    monkeypatch.chdir(trained)
    run = Run.open("runs/skirt")
    paths, side = images_to_predict(trained)[:6], CROP * 3 // 2
    actual = predict_images(paths, [run.at_crop(side)], [mx.cpu()], crops=5)[SKIRT]
    network = stock_network(run.folder.best_parameters)
    sizes = round(RESIZE * side / CROP), side
    expected = np.array([naive_probabilities(path, network, 5, *sizes) for path in paths])
    np.testing.assert_allclose(actual, expected, atol=2e-5)
    usual = predict_images(paths, [run], [mx.cpu()], crops=5)[SKIRT]
    assert np.abs(usual - expected).max() > 0.001

    options = ["--run", "runs/skirt", "--crops", "5", "--image-size", str(side), "--csv", "out.csv"]
    assert fashionai("classify", *options, *map(str, paths)) == 0
    written = pd.read_csv("out.csv").groupby("image")["probability"].max()
    names = [str(path) for path in paths]
    frame = predict_frame(names, "runs/skirt", crops=5, image_size=side)
    opened = predict_frame(names, run.at_crop(side), crops=5)
    frames = (each.set_index("image")["probability"] for each in (frame, opened))
    for found in (written, *frames):
        largest = [found[str(path)] for path in paths]
        np.testing.assert_allclose(largest, expected.max(axis=1), atol=2e-5)


def test_two_devices_predict_what_one_does(trained: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(trained)
    run = Run.open(Path("runs/skirt"))
    paths = images_to_predict(trained)[:7]
    one = predict_images(paths, [run], [mx.cpu()], batch_size=4)[SKIRT]
    two = predict_images(paths, [run], [mx.cpu(0), mx.cpu(1)], batch_size=2)[SKIRT]
    np.testing.assert_allclose(one, two, atol=1e-6)


def test_several_runs_are_averaged(trained: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(trained)
    other = Path("runs-elsewhere/skirt")
    shutil.copytree("runs/skirt", other)
    replace_weights(other, mx.nd.load("runs/skirt/last.params"))
    paths = images_to_predict(trained)
    runs = [Run.open(Path("runs/skirt")), Run.open(other)]
    single = [predict_images(paths, [run], [mx.cpu()])[SKIRT] for run in runs]
    together = predict_images(paths, runs, [mx.cpu()])[SKIRT]
    np.testing.assert_allclose(together, (single[0] + single[1]) / 2, atol=1e-12)


def test_a_run_that_is_given_twice_counts_once(
    trained: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(trained)
    paths = images_to_predict(trained)[:2]
    once, twice = (
        predict_images(paths, [Run.open(Path("runs/skirt")) for _ in range(count)], [mx.cpu()])
        for count in (1, 2)
    )
    ((task, expected),) = once.items()
    assert np.array_equal(twice[task], expected)
    assert twice[task].sum(axis=1) == pytest.approx(1)


def test_a_run_of_another_task_is_refused(trained: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(trained)
    run = Run.open(Path("runs/skirt"))
    with pytest.raises(FashionAIError, match="was trained for skirt_length_labels, expected pant"):
        predict([Request(find_task("pant"), images_to_predict(trained), [run])], [mx.cpu()])


def test_weights_that_are_not_numbers_are_noticed(
    trained: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(trained)
    broken = Path("runs-broken/skirt")
    shutil.copytree("runs/skirt", broken)
    weights = mx.nd.load(str(broken / "best.params"))
    weights["output.weight" if "output.weight" in weights else sorted(weights)[-1]][:] = np.nan
    replace_weights(broken, weights)
    with pytest.raises(FashionAIError, match="a probability that is not a number"):
        predict_images(images_to_predict(trained), [Run.open(broken)], [mx.cpu()])


class StubEngine:
    """Notes how many images it is given; runs out of memory beyond a number of them."""

    def __init__(self, most: int) -> None:
        self.given: list[int] = []
        self._most = most

    def begin(self, pixels: np.ndarray) -> Callable[[], np.ndarray]:
        self.given.append(len(pixels))
        if len(pixels) > self._most:
            raise mx.base.MXNetError("Out of memory\nStack trace: ...")
        return lambda: np.full((len(pixels), 6), 1 / 6)


def test_a_batch_has_no_more_images_than_there_are(
    trained: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(trained)
    paths, engine = images_to_predict(trained)[:3], StubEngine(most=30)
    settings = {"crops": 10, "batch_size": 16}
    predict_with_engine(engine, Run.open(Path("runs/skirt")), paths, **settings)
    assert engine.given == [30]


def test_an_engine_that_fails_is_one_line(trained: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(trained)
    paths, run = images_to_predict(trained)[:3], Run.open(Path("runs/skirt"))
    engine = GuardedEngine(StubEngine(most=2), "stub", run)
    with pytest.raises(TrainingError) as error:
        predict_with_engine(engine, run, paths, crops=1, batch_size=3)
    assert str(error.value) == (
        f"{run}: engine stub stopped: Out of memory. A smaller --batch-size needs less memory"
    )
