"""Every engine computes what the hybridized network computes, and the choice between them."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from fashionai.engines import choice as engine_choice
from fashionai.engines import fused as fused_engine
from fashionai.engines.choice import measure_engines, open_chosen
from fashionai.engines.opening import open_engine
from fashionai.engines.registry import ENGINES, EXACT_ENGINES, EngineEntry
from fashionai.errors import ConfigError, FrameworkError, InstallationError, RunError
from fashionai.families import find_task
from fashionai.frameworks.mxnet import import_mxnet
from fashionai.models.graph import Graph
from fashionai.models.views import Pending
from fashionai.predictions.predict import predict_images
from fashionai.quantization import quantize
from fashionai.runs import Run
from tests.support.commands import fashionai
from tests.support.installed import MEASURED, OPENED
from tests.support.trained_runs import images_to_predict, replace_weights

mx = import_mxnet()

CPU = [mx.cpu()]
SKIRT = find_task("skirt")
# Of a probability. Eight bits are 1/256 of each layer's range.
TOLERANCES = {**dict.fromkeys(EXACT_ENGINES, 1e-5), "int8": 0.02}


@pytest.fixture
def runs(trained: Path, trained_cnn: Path, monkeypatch: pytest.MonkeyPatch) -> list[Run]:
    """The run of the zoo's network, and that of the CNN, which is quantized."""
    monkeypatch.chdir(trained)
    cnn = Run.open(trained_cnn)
    if not cnn.folder.int8_report.exists():
        quantize(cnn)
    return [Run.open(Path("runs/skirt")), cnn]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("FASHIONAI_HOME", str(tmp_path))
    return tmp_path


@pytest.mark.parametrize("name", OPENED)
def test_every_engine_agrees_with_gluon(trained: Path, runs: list[Run], name: str) -> None:
    paths = images_to_predict(trained)
    for run in runs[1:] if name == "int8" else runs:
        expected, actual = (
            predict_images(paths, [run], CPU, batch_size=4, engine=engine)[SKIRT]
            for engine in ("gluon", name)
        )
        np.testing.assert_allclose(actual, expected, atol=TOLERANCES[name])
        np.testing.assert_allclose(actual.sum(axis=1), 1, atol=1e-12)
        np.testing.assert_array_equal(actual.argmax(axis=1), expected.argmax(axis=1))
        assert np.ptp(expected, axis=0).max() > 0.1, "the network predicts the same for all images"


def test_engines_of_two_devices_share_the_views(runs: list[Run]) -> None:
    pixels = np.random.default_rng(1).integers(0, 256, (5, 32, 32, 3), np.uint8)
    for name in ("gluon", "fused"):
        one, two = (
            open_engine(runs[0], devices, name).begin(pixels)()
            for devices in (CPU, [mx.cpu(0), mx.cpu(1)])
        )
        np.testing.assert_allclose(one, two, atol=1e-6)


@pytest.mark.parametrize("name", ["fused", "onnx", "int8"])
def test_engines_for_the_cpu_are_refused_on_a_gpu(runs: list[Run], name: str) -> None:
    with pytest.raises(ConfigError, match=rf"engine {name} runs only on the CPU, found gpu\(0\)"):
        open_engine(runs[1], [mx.gpu(0)], name)


def open_doubtful(run: Run, contexts: list[object]) -> DoubtfulEngine:
    return DoubtfulEngine(run.columns[-1].stop)


class DoubtfulEngine:
    """An engine that finds all classes equally probable."""

    def __init__(self, classes: int) -> None:
        self.classes = classes

    def begin(self, pixels: np.ndarray) -> Pending:
        return lambda: np.full((len(pixels), self.classes), 1 / self.classes)


def test_an_engine_is_added_by_one_entry(
    trained: Path, runs: list[Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    opener = f"{__name__}:open_doubtful"
    monkeypatch.setitem(ENGINES, "doubtful", EngineEntry(opener, is_exact=False, cpu_only=False))
    paths = images_to_predict(trained)
    probabilities = predict_images(paths, [runs[0]], CPU, engine="doubtful")[SKIRT]
    np.testing.assert_allclose(probabilities, np.full((len(paths), 6), 1 / 6))
    assert isinstance(open_engine(runs[0], [mx.gpu(0)], "doubtful").engine, DoubtfulEngine)
    monkeypatch.setitem(ENGINES, "doubtful", EngineEntry(opener))
    with pytest.raises(ConfigError, match="engine doubtful computes wrong probabilities"):
        open_engine(runs[0], CPU, "doubtful")


@pytest.mark.parametrize("raises", [mx.base.MXNetError, RuntimeError])
@pytest.mark.parametrize("late", [False, True])
def test_an_engine_that_fails_is_one_line(
    trained: Path,
    runs: list[Run],
    monkeypatch: pytest.MonkeyPatch,
    raises: type[Exception],
    late: bool,
) -> None:
    """As for a GPU whose memory is full, when a batch is begun or when its result is read."""
    opener = f"{__name__}:open_doubtful"
    monkeypatch.setitem(ENGINES, "doubtful", EngineEntry(opener, is_exact=False, cpu_only=False))

    def fail(*_: Any) -> np.ndarray:
        raise raises("out of memory\nStack trace: ...")

    monkeypatch.setattr(DoubtfulEngine, "begin", (lambda *_: fail) if late else fail)
    with pytest.raises(FrameworkError) as error:
        predict_images(images_to_predict(trained), [runs[0]], CPU, engine="doubtful")
    assert str(error.value) == (
        f"{runs[0]}: engine doubtful stopped: out of memory. "
        "A smaller --batch-size needs less memory"
    )


def test_onnx_runtime_that_fails_is_one_line(
    runs: list[Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    state = pytest.importorskip("onnxruntime.capi.onnxruntime_pybind11_state")
    engine = open_engine(runs[0], CPU, "onnx")
    crop = runs[0].config.data.crop

    def fail(*_: Any) -> None:
        raise state.RuntimeException("Failed to allocate memory")

    monkeypatch.setattr(engine.engine, "_session_for", lambda _: SimpleNamespace(run=fail))
    with pytest.raises(FrameworkError, match="engine onnx stopped: Failed to allocate memory"):
        engine.begin(np.zeros((1, crop, crop, 3), np.uint8))()


def test_an_unknown_engine_is_refused_with_the_nearest_name(runs: list[Run]) -> None:
    with pytest.raises(ConfigError, match=r"unknown engine 'onx'\. Did you mean 'onnx'\?"):
        open_engine(runs[0], CPU, "onx")


def test_an_engine_that_disagrees_with_gluon_is_refused_and_not_measured(
    runs: list[Run], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    speeds, complete = measure_engines(runs[0], CPU)
    assert (set(speeds), complete) == (MEASURED, True)

    def fuse_wrongly(graph: Graph) -> Graph:
        """As oneDNN would where others read a convolution that it normalises."""
        weights = dict(graph.arguments)
        weights[min(weights)] = weights[min(weights)] * 1.5
        return graph._replace(arguments=weights)

    monkeypatch.setattr(fused_engine, "fuse", fuse_wrongly)
    wrong = r"engine fused computes wrong probabilities for mobilenet0.25: they differ by up to \d"
    with pytest.raises(ConfigError, match=wrong):
        open_engine(runs[0], CPU, "fused")
    caplog.set_level("INFO", "fashionai")
    speeds, complete = measure_engines(runs[0], CPU)
    assert (set(speeds), complete) == (MEASURED - {"fused"}, False)
    assert "engine fused is not used: engine fused computes wrong probabilities" in caplog.text


def test_the_fastest_engine_is_chosen_and_remembered(
    runs: list[Run],
    home: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("INFO", "fashionai")
    speeds = {"gluon": 100.0, "fused": 102.0, "onnx": 101.0, "torch": 99.0}
    measured, opened = [], []

    def measure(run: Run, contexts: list[object]) -> tuple[dict[str, float], bool]:
        measured.append(run)
        # Told before each measurement, and not without one.
        assert caplog.text.count("measuring the engines") == len(measured)
        return speeds, complete

    def open_named(run: Run, contexts: list[object], name: str) -> str:
        opened.append(name)
        if name == wrong:
            raise InstallationError("onnx is not installed")
        return name

    def chosen(run: Run, contexts: list[object], views: int) -> str:
        return open_chosen(run, contexts, "auto", views)[0]

    wrong, complete = "", True
    monkeypatch.setattr(engine_choice, "measure_engines", measure)
    monkeypatch.setattr(engine_choice, "open_engine", open_named)
    assert chosen(runs[0], CPU, 10) == "gluon"
    assert not (home / "engines.json").exists(), "few views are not worth measuring"
    assert "measuring" not in caplog.text
    assert chosen(runs[0], CPU, 10_000) == "gluon", "two percent are noise"
    speeds["fused"] = 150.0
    assert chosen(runs[0], CPU, 10_000) == "gluon", "what was measured is remembered"
    assert chosen(runs[1], CPU, 10_000) == "fused", "for another network it is measured"
    assert chosen(runs[1], CPU, 10) == "fused"
    assert measured == runs
    for damaged in ("{", "[1]", '{"a": 1}', emptied(home / "engines.json")):
        (home / "engines.json").write_text(damaged)
        assert chosen(runs[0], CPU, 10_000) == "fused", "a damaged file is measured anew"
    assert chosen(runs[0], [mx.gpu(0)], 10_000) == "gluon"
    wrong = "fused"
    assert chosen(runs[0], CPU, 10_000) == "gluon"
    assert opened[-2:] == ["fused", "gluon"], "what can no longer be opened"
    (home / "engines.json").unlink()
    wrong, complete = "", False
    assert chosen(runs[0], CPU, 10_000) == "fused"
    assert not (home / "engines.json").exists(), "other weights may do better"


def emptied(file: Path) -> str:
    """What was remembered, without any speed."""
    return json.dumps({key: {} for key in json.loads(file.read_text())})


def test_auto_measures_for_many_views_and_predicts_the_same(
    trained: Path, runs: list[Run], home: Path
) -> None:
    paths = images_to_predict(trained)
    assert len(paths) * 10 < 1000
    few = predict_images(paths, [runs[0]], CPU)[SKIRT]
    open_chosen(runs[0], CPU, "auto", 1000)
    (speeds,) = json.loads((home / "engines.json").read_text()).values()
    assert set(speeds) == MEASURED
    assert min(speeds.values()) > 0
    chosen = predict_images(paths, [runs[0]], CPU)[SKIRT]
    np.testing.assert_allclose(chosen, few, atol=1e-5)
    (home / "engines.json").unlink()
    (home / "engines.json").mkdir()
    open_chosen(runs[0], CPU, "auto", 1000)  # goes on where nothing can be remembered


def test_predict_takes_every_engine(runs: list[Run], trained: Path) -> None:
    files = []
    for name in OPENED:
        files.append(trained / f"{name}.csv")
        arguments = ("--run", runs[1], "--engine", name, "--out", files[-1])
        assert fashionai("predict", *arguments) == 0
    predictions = [
        np.array([[float(p) for p in line.split(",")[2].split(";")] for line in file.open()])
        for file in files
    ]
    for name, actual in zip(OPENED, predictions):
        np.testing.assert_allclose(actual, predictions[0], atol=TOLERANCES[name])


def test_engine_int8_needs_a_network_quantized_from_the_present_weights(
    runs: list[Run], tmp_path: Path
) -> None:
    with pytest.raises(RunError, match=r"not quantized yet\. Run: fashionai quantize --run"):
        open_engine(runs[0], CPU, "int8")
    run = Run.open(Path(shutil.copytree(runs[1].path, tmp_path / "skirt")))
    open_engine(run, CPU, "int8")
    with pytest.raises(RunError, match="only crops of the size that the run was trained with"):
        open_engine(run.at_crop(run.config.data.crop + 32), CPU, "int8")
    content = run.folder.int8_parameters.read_bytes()
    for damaged in (content[:1000], content[:-4] + b"1234"):
        run.folder.int8_parameters.write_bytes(damaged)
        with pytest.raises(RunError, match=r"int8-0000.params: cannot be used \(the files changed"):
            open_engine(run, CPU, "int8")
    weights = mx.nd.load(str(run.weights_file))
    weights[min(weights)] *= 1.5
    replace_weights(run.path, weights)
    with pytest.raises(RunError, match="quantized from other weights than it has now"):
        open_engine(run, CPU, "int8")
