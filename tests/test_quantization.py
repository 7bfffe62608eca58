"""Quantization: its ranges compared with those of the stock network, its report and its errors."""

from __future__ import annotations

import contextlib
import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from fashionai.datasets.prepared.samples import read_samples
from fashionai.errors import DataError, RunError, TrainingError
from fashionai.frameworks.mxnet import import_mxnet
from fashionai.models.zoo import build_network
from fashionai.progress import Advance
from fashionai.quantization import quantize
from fashionai.runs import Run
from tests.support.commands import run_here
from tests.support.references import MEAN, STD, naive_views
from tests.support.trained_runs import replace_weights

mx = import_mxnet()


@pytest.fixture
def cnn(trained: Path, trained_cnn: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A copy of the CNN's run that is not quantized."""
    monkeypatch.chdir(trained)
    folder = Path(shutil.copytree(trained_cnn, tmp_path / "skirt"))
    for file in folder.glob("int8*"):
        file.unlink()
    return Run.open(folder)


def training_images(run: Run) -> np.ndarray:
    """Centre crops of all training images, normalised, as the contract says them."""
    paths = read_samples(run.config, "train").paths
    images = [(naive_views(path, 1, resize=36)[0] / 255 - MEAN) / STD for path in paths]
    return np.stack(images).transpose(0, 3, 1, 2).astype(np.float32)


def calibrated_ranges(run: Run) -> list[tuple[float, float]]:
    """Of the input, and of the layers in order, from the file."""
    nodes = json.loads(run.folder.int8_symbol.read_text())["nodes"]
    attributes = [node.get("attrs", {}) for node in nodes]
    names = ("min_calib_range", "max_calib_range")
    return [(float(a[names[0]]), float(a[names[1]])) for a in attributes if set(names) <= a.keys()]


def test_naive_ranges_are_those_of_the_stock_network(cnn: Run) -> None:
    done = quantize(cnn, images=10_000)
    images = training_images(cnn)
    assert done.images == len(images) == 84
    network = build_network("small_cnn", 6, 32)
    network.load_parameters(str(cnn.weights_file))
    x = mx.nd.array(images)
    expected = [(images.min(), images.max())]
    for layer in network.features:
        x = layer(x)
        if isinstance(layer, mx.gluon.nn.Activation):
            expected.append((0, float(x.max().asscalar())))
    np.testing.assert_allclose(calibrated_ranges(cnn), expected, rtol=1e-4, atol=1e-5)


def test_entropy_ranges_leave_out_what_is_rare(cnn: Run) -> None:
    quantize(cnn, images=84)
    naive = np.array(calibrated_ranges(cnn))
    quantize(cnn, images=84, mode="entropy")
    entropy = np.array(calibrated_ranges(cnn))
    widest = np.abs(naive).max(axis=1)
    assert (entropy[:, 1] <= widest + 1e-5).all()
    assert (entropy[1:, 1] < 0.99 * widest[1:]).any()
    assert (entropy[:, 1] > 0.1 * widest).all()


def test_the_report_has_the_scores_of_evaluate(cnn: Run, trained: Path) -> None:
    done = run_here("quantize", "--run", cnn, "--max-loss", 0.5, cwd=trained)
    assert done.returncode == 0, done.stderr
    # All but the last two lines, which name the run.
    assert max(map(len, done.stdout.splitlines()[:-2])) <= 80
    report = json.loads(cnn.folder.int8_report.read_text())
    assert (report["mode"], report["images"], report["max_loss"]) == ("naive", 84, 0.5)
    (scores,) = report["tasks"].values()
    for engine, when in (("gluon", "float32"), ("int8", "int8")):
        options = ("--run", cnn, "--split", "val", "--crops", 1, "--engine", engine)
        out = cnn.path / f"scores-{engine}.json"
        done = run_here("evaluate", *options, "--json", out, cwd=trained)
        assert done.returncode == 0, done.stderr
        (evaluated,) = json.loads(out.read_text())["tasks"].values()
        for name in ("accuracy", "map"):
            assert scores[when][name] == pytest.approx(evaluated[name], abs=1e-9)


def test_a_loss_beyond_the_bound_is_refused_and_leaves_nothing(cnn: Run) -> None:
    """A channel that nobody reads takes nearly all of its layer's range, and others get no bits."""
    weights = mx.nd.load(str(cnn.weights_file))
    weights["features.1.gamma"][0] = 1000
    weights["features.1.beta"][0] = 1000
    weights["features.4.weight"][:, 0] = 0
    replace_weights(cnn.path, weights)
    before = sorted(cnn.path.iterdir())
    with pytest.raises(
        TrainingError, match=r"lowers .* mAP by 0\.\d+, expected at most 0.01; nothing was"
    ):
        quantize(cnn)
    assert sorted(cnn.path.iterdir()) == before


def test_a_folder_with_other_classes_is_refused(cnn: Run) -> None:
    """Its marks would be compared with the columns of other classes."""
    known = json.loads(cnn.folder.classes_file.read_text())
    known["tasks"][0]["classes"].reverse()
    cnn.folder.classes_file.write_text(json.dumps(known))
    with pytest.raises(RunError, match="was trained on other classes of skirt_length_labels"):
        quantize(Run.open(cnn.path))
    assert not cnn.folder.int8_report.exists()


def test_weights_that_change_meanwhile_are_not_quantized(cnn: Run) -> None:
    """As those of a training that goes on do."""

    @contextlib.contextmanager
    def train_on(description: str, total: int, unit: str = "images") -> Iterator[Advance]:
        yield lambda done: None
        weights = mx.nd.load(str(cnn.weights_file))
        weights["output.bias"] += 1
        replace_weights(cnn.path, weights)

    with pytest.raises(RunError, match="the weights changed during quantization"):
        quantize(cnn, progress=train_on)
    assert not cnn.folder.int8_report.exists()


def test_the_place_is_tried_before_anything_is_computed(
    cnn: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fashionai.quantization.read_samples", None)
    cnn.folder.int8_report = Path("/proc/int8.json")
    with pytest.raises(DataError, match=r"^/proc/int8\.json: cannot be written: "):
        quantize(cnn)
