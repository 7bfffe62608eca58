"""The parts of a server: decoders that are replaced, batches, and the engines behind them."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event

import numpy as np
import pytest

from fashionai.engines.opening import open_engine
from fashionai.errors import RunError
from fashionai.frameworks.mxnet import import_mxnet
from fashionai.predictions.predict import predict_images
from fashionai.runs import Run
from fashionai.serving import batching, decoding
from fashionai.serving.batching import Batcher
from fashionai.serving.decoding import Decoders, ImageError, Wanted, make_views
from tests.support.networks import make_run

mx = import_mxnet()


@pytest.fixture(scope="module")
def wanted(run: Run) -> Wanted:
    return Wanted(run.config.data, crops=5, pixels=10**6, seconds=2.0)


@pytest.fixture(scope="module")
def decoders(wanted: Wanted) -> Iterator[Decoders]:
    decoders = Decoders(wanted, 1)
    yield decoders
    decoders.close()


def test_a_decoder_that_hangs_costs_one_answer(
    decoders: Decoders, wanted: Wanted, photographs: list[Path]
) -> None:
    image = photographs[0].read_bytes()
    np.testing.assert_array_equal(decoders.views(image), make_views(image, wanted))
    (process,) = decoders.processes()
    os.kill(process, signal.SIGSTOP)
    with pytest.raises(ImageError, match="not decoded within 2 s"):
        decoders.views(image)
    np.testing.assert_array_equal(decoders.views(image), make_views(image, wanted))
    assert process not in decoders.processes()


def test_a_decoder_that_dies_costs_one_answer(
    decoders: Decoders, wanted: Wanted, photographs: list[Path]
) -> None:
    image = photographs[0].read_bytes()
    decoders.views(image)
    (process,) = decoders.processes()
    os.kill(process, signal.SIGKILL)
    # The image finds the process dead, or dies with it.
    with contextlib.suppress(ImageError):
        decoders.views(image)
    np.testing.assert_array_equal(decoders.views(image), make_views(image, wanted))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_decoder_outlives_the_signals_that_stop_a_server(
    decoders: Decoders, photographs: list[Path], number: int
) -> None:
    """A terminal and systemd send them to all processes; the server ends its decoders itself."""
    image = photographs[0].read_bytes()
    decoders.views(image)
    (process,) = decoders.processes()
    os.kill(process, number)
    decoders.views(image)
    assert list(decoders.processes()) == [process]


def test_an_image_is_not_blamed_for_a_decoder_that_ends_while_it_starts(
    wanted: Wanted, photographs: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    starting = Decoders(wanted, 1)
    (process,) = starting.processes()
    with ThreadPoolExecutor(1) as threads:
        os.kill(process, signal.SIGSTOP)  # or it might be ready too early
        # While it is stopped, it can be neither ready nor replaced.
        begun, wait = Event(), decoding._Decoder._wait_until_ready
        monkeypatch.setattr(
            decoding._Decoder, "_wait_until_ready", lambda *place: (begun.set(), wait(*place))
        )
        answer = threads.submit(starting.views, photographs[0].read_bytes())
        assert begun.wait(60)
        os.kill(process, signal.SIGKILL)
        with pytest.raises(ImageError, match="ended while it started") as error:
            answer.result(timeout=60)
    assert error.value.status == 503
    starting.close()


@pytest.mark.parametrize("name", ["fused", "onnx", "torch"])
def test_every_engine_computes_batches(run: Run, photographs: list[Path], name: str) -> None:
    if name == "torch":
        pytest.importorskip("torch")
    wanted = Wanted(run.config.data, crops=5, pixels=10**6, seconds=2.0)
    views = [make_views(path.read_bytes(), wanted) for path in photographs]
    batcher = Batcher(lambda: open_engine(run, [mx.cpu()], name), batch_size=4)
    found = [each.result() for each in [batcher.begin(each) for each in views]]
    batcher.close()
    (expected,) = predict_images(photographs, [run], [mx.cpu()], crops=5, engine="gluon").values()
    np.testing.assert_allclose(found, expected, atol=1e-4)


class SumOfPixels:
    """An engine whose probabilities say which views it got; it fails for black ones."""

    def __init__(self) -> None:
        self.sizes: list[int] = []

    def begin(self, pixels: np.ndarray) -> object:
        self.sizes.append(len(pixels))
        sums = pixels.sum(axis=(1, 2, 3))
        if not sums.all():
            raise ValueError("black")
        return lambda: np.stack([sums, -sums], axis=1).astype(np.float64)


def test_images_are_computed_together_and_each_gets_its_own() -> None:
    engine, batches = SumOfPixels(), []
    batcher = Batcher(lambda: engine, 4, batches.append)  # type: ignore[arg-type, return-value]
    views = [np.full((2, 1, 1, 3), number, np.uint8) for number in range(1, 12)]
    results = [batcher.begin(each) for each in views]
    batcher.close()
    np.testing.assert_array_equal([each.result()[0] for each in results], 3 * np.arange(1, 12))
    assert sum(batches) == 11
    assert max(batches) <= 4
    assert engine.sizes == [2 * images for images in batches]


def test_an_image_waits_for_others_only_while_these_are_decoded(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """With others that never arrive, a batch would wait for an hour."""
    monkeypatch.setattr(batching, "SECONDS_TO_WAIT", 3600)
    more_to_come, batches = iter([True, False, False]), []
    batcher = Batcher(
        SumOfPixels,  # type: ignore[arg-type]
        batch_size=8,
        on_batch=batches.append,
        more_to_come=lambda: next(more_to_come),
    )
    white = np.full((1, 1, 1, 3), 255, np.uint8)
    results = [batcher.begin(white), batcher.begin(white)]
    assert [each.result(timeout=60)[0] for each in results] == [3 * 255] * 2
    assert batcher.begin(white).result(timeout=60)[0] == 3 * 255
    assert batches == [2, 1]
    batcher.close()


def test_an_error_of_the_engine_is_that_of_its_images_alone() -> None:
    batcher = Batcher(SumOfPixels, 1)  # type: ignore[arg-type]
    black, white = (np.full((1, 1, 1, 3), value, np.uint8) for value in (0, 255))
    results = [batcher.begin(each) for each in (white, black, white)]
    batcher.close()
    assert results[0].result()[0] == results[2].result()[0] == 3 * 255
    with pytest.raises(ValueError, match="black"):
        results[1].result()


def test_an_engine_that_cannot_be_opened_is_an_error_of_the_beginning(tmp_path: Path) -> None:
    run = make_run(tmp_path, "mobilenet0.25")
    with pytest.raises(RunError, match="not quantized"):
        Batcher(lambda: open_engine(run, [mx.cpu()], "int8"), 4)
