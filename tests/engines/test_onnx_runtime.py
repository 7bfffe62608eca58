"""Batches that the engine onnx computes in parts, on several threads."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fashionai.engines.onnx_model import onnx_model
from fashionai.engines.onnx_runtime import OnnxEngine
from fashionai.engines.opening import open_engine
from fashionai.errors import WeightsError
from fashionai.frameworks.mxnet import import_mxnet
from fashionai.runs import Run
from fashionai.tasks import columns_of

mx = import_mxnet()


@pytest.mark.parametrize("threads", [1, 3, 9])
def test_every_image_gets_its_own_probabilities_in_any_batch(trained: Path, threads: int) -> None:
    run = Run.open(trained / "runs/skirt")
    engine = OnnxEngine(onnx_model(run), columns_of(run.tasks), threads)
    gluon = open_engine(run, [mx.cpu()], "gluon")
    crop = run.config.data.crop
    # Noise of single pixels looks alike to a network; patches of a quarter of the side do not,
    # unless their contrast is so high that it is certain of them.
    patches = np.random.default_rng(0).integers(64, 192, (60, 4, 4, 3)).astype(np.uint8)
    images = patches.repeat(crop // 4, axis=1).repeat(crop // 4, axis=2)
    _, distinct = np.unique(gluon.begin(images)().round(4), axis=0, return_index=True)
    assert len(distinct) >= 26, "the probabilities look alike"
    images = images[distinct[:26]]
    expected = gluon.begin(images)()
    batches = np.split(np.arange(26), [1, 3, 10])
    begun = [engine.begin(images[batch]) for batch in batches]
    for batch, pending in zip(batches, begun):
        np.testing.assert_allclose(pending(), expected[batch], atol=1e-5)


def test_batches_of_changing_sizes_compile_the_network_once_for_each_number_of_threads(
    trained: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a server computes them: compiling takes longer than a batch."""
    import onnxruntime

    compiled = []
    session = onnxruntime.InferenceSession

    def open_session(model: bytes, options: Any, **others: Any) -> Any:
        compiled.append(options.intra_op_num_threads)
        return session(model, options, **others)

    monkeypatch.setattr(onnxruntime, "InferenceSession", open_session)
    run = Run.open(trained / "runs/skirt")
    engine = OnnxEngine(onnx_model(run), columns_of(run.tasks), threads=2)
    views = np.zeros((8, run.config.data.crop, run.config.data.crop, 3), np.uint8)
    for size in (1, 8, 2, 5, 1, 8):
        assert len(engine.begin(views[:size])()) == size
    assert sorted(compiled) == [1, 2]


def test_a_model_that_onnx_runtime_cannot_open_is_reported_in_one_line() -> None:
    with pytest.raises(WeightsError, match=r"^ONNX Runtime cannot open the network: .*\S$"):
        OnnxEngine(b"no model", [slice(0, 2)], 1)
