"""Training in float16: the loss scale, steps that are left out, and what a state keeps of both.

MXNet has no float16 products on the CPU. Here they are computed as a GPU does it, from numbers
rounded to float16 with sums in float32; all other operators of the graph are MXNet's own.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from fashionai.config import Config, OptimizerConfig
from fashionai.config.sections import DataConfig, ModelConfig
from fashionai.datasets.prepared.samples import Samples
from fashionai.errors import TrainingError
from fashionai.families import find_task
from fashionai.frameworks.mxnet import import_mxnet
from fashionai.metrics import NO, YES
from fashionai.pipeline.loader import Batch
from fashionai.training.gluon.gradients import all_finite
from fashionai.training.gluon.learner import GluonLearner
from fashionai.training.records.checkpoint import Progress, load_state, save_state
from fashionai.training.steps.loss_scale import LossScale

mx = import_mxnet()

ROWS, CROP = 8, 32
RESUME_KEY = {"devices": "1 gpu", "data": "0"}
PRODUCTS = ("Convolution", "FullyConnected")


class OnGpu:
    """Computes the graph of a block operator by operator."""

    def __init__(self, block: mx.gluon.HybridBlock) -> None:
        graph = json.loads(block(mx.sym.var("data")).tojson(remove_amp_cast=False))
        self._nodes, self._parameters = graph["nodes"], block.collect_params()

    def __call__(self, images: mx.nd.NDArray) -> mx.nd.NDArray:
        results: list[mx.nd.NDArray] = []
        own = self._parameters
        for node in self._nodes:
            inputs = [results[place] for place, _, _ in node["inputs"]]
            if node["op"] == "null":
                name = node["name"]
                results.append(images if name == "data" else own[name].data(images.context))
            elif node["op"] in PRODUCTS:
                assert {each.dtype for each in inputs} == {np.float16}
                exact = [each.astype("float32") for each in inputs]
                product = getattr(mx.nd, node["op"])(*exact, **node["attrs"])
                results.append(product.astype("float16"))
            else:
                results.append(getattr(mx.nd, node["op"])(*inputs, **node.get("attrs", {})))
        return results[-1]


def make_learner(
    precision: str = "float16", optimizer: str = "sgd", devices: int = 1, **options: object
) -> GluonLearner:
    """A small network over rows whose images are never read, on what stands for GPUs."""
    marks = np.where(np.eye(6)[np.arange(ROWS) % 6], YES, NO).astype(np.int8)
    names = [f"{row}.jpg" for row in range(ROWS)]
    files = [Path(name) for name in names]
    rows = Samples([find_task("skirt")], files, names, np.zeros(ROWS, np.int64), marks)
    config = Config(
        task="skirt",
        model=ModelConfig(name="small_cnn", pretrained=False),
        data=DataConfig(resize_short=36, crop=CROP),
        optimizer=OptimizerConfig(name=optimizer, lr=0.05, weight_decay=0.01),
        batch_size=ROWS // devices,
        precision=precision,
        **options,
    )
    learner = GluonLearner(config, rows, [mx.cpu(index) for index in range(devices)])
    if precision == "float16":
        learner.forward.network = OnGpu(learner.forward.network)
    return learner


def make_batch(number: int = 0) -> Batch:
    pixels = np.random.default_rng(number).integers(0, 256, (ROWS, 1, CROP, CROP, 3), np.uint8)
    return Batch(pixels, np.arange(ROWS))


def values(learner: GluonLearner) -> dict[str, np.ndarray]:
    parameters = learner.network._collect_params_with_prefix()
    return {name: parameter.list_data()[0].asnumpy() for name, parameter in parameters.items()}


def weights(learner: GluonLearner) -> dict[str, np.ndarray]:
    """Parameters without the statistics of batch normalisation, which every step moves."""
    return {name: each for name, each in values(learner).items() if "running" not in name}


def same_bits(one: dict[str, np.ndarray], other: dict[str, np.ndarray]) -> bool:
    return all(one[name].tobytes() == other[name].tobytes() for name in one)


def gradient(value: float) -> mx.nd.NDArray:
    return mx.nd.array([1.0, value, -2.0])


def test_finite_steps_double_the_scale_and_others_halve_it() -> None:
    scale = LossScale()
    first = scale.value
    assert all(scale.accept(all_finite([gradient(0.5)])) for _ in range(1999))
    assert scale.value == first
    assert scale.accept(all_finite([gradient(0.5)]))
    assert scale.value == 2 * first
    for bad in (np.inf, -np.inf, np.nan):
        assert not scale.accept(all_finite([gradient(0.5), gradient(bad)]))
    assert (scale.value, scale.skipped) == (first / 4, 3)
    # What counts are steps in a row.
    assert all(scale.accept(all_finite([gradient(0.5)])) for _ in range(1999))
    assert scale.value == first / 4
    assert scale.accept(all_finite([gradient(0.5)]))
    assert scale.value == first / 2


def test_the_scale_has_bounds() -> None:
    scale = LossScale()
    scale.restore(np.array([2.0**24, 1999, 0]))
    assert scale.accept(all_finite([gradient(0)]))
    assert scale.value == 2.0**24
    scale.restore(np.array([1.0, 5, 0]))
    with pytest.raises(TrainingError, match="gradients exceed the range of float16"):
        scale.accept(all_finite([gradient(np.nan)]))


@pytest.mark.parametrize("place", [0, 199, 200, 449])
def test_every_array_is_looked_at(place: int) -> None:
    arrays = [mx.nd.ones((2, 2)) for _ in range(450)]
    assert all_finite(arrays)
    arrays[place][1, 1] = np.inf
    assert not all_finite(arrays)


@pytest.mark.parametrize("optimizer", ["sgd", "nag", "adam", "adamw"])
def test_a_step_is_that_of_float32_but_for_rounding(optimizer: str) -> None:
    exact, half = make_learner("float32", optimizer), make_learner("float16", optimizer)
    half.loss_scale.restore(np.array([256.0, 0, 0]))
    begun = weights(exact)
    assert same_bits(begun, weights(half))
    results = [each.step(make_batch(), 0, 0, 0.05, 0.9) for each in (exact, half)]
    (loss, _), (half_loss, _) = (result.read() for result in results)
    assert half_loss == pytest.approx(loss, rel=2e-3)
    assert half_loss != loss
    assert half.loss_scale.skipped == 0
    for name, after in weights(half).items():
        wanted, change = weights(exact)[name] - begun[name], after - begun[name]
        assert after.dtype == np.float32
        if optimizer.startswith("adam"):  # the first step is the gradient's sign times the rate
            assert (np.abs(change - wanted) < 1e-3).mean() > 0.9, name
        else:
            error = np.linalg.norm(change - wanted) / np.linalg.norm(wanted)
            # Rounding also turns ReLUs on and off near zero, which adds up towards the input.
            assert error < (0.01 if name.startswith("output") else 0.15), name


@pytest.mark.parametrize("optimizer", ["sgd", "nag", "adam", "adamw"])
def test_gradients_are_divided_by_the_scale_before_all_else(optimizer: str) -> None:
    """Without float16, powers of two round nothing: steps are those without a scale, bit by bit."""
    plain, scaled = (make_learner("float32", optimizer) for _ in range(2))
    scaled.loss_scale = LossScale()
    for step in range(2):
        for learner in (plain, scaled):
            learner.step(make_batch(step), 0, step, 0.05, 0.9)
    assert scaled.loss_scale.finite_steps == 2
    assert same_bits(values(plain), values(scaled))


def test_a_step_whose_gradients_overflow_is_not_made() -> None:
    learner = make_learner("float16", "adam", ema=0.9)
    # float16 ends at 65,504: the gradients of the logits, times this, are beyond.
    learner.loss_scale.restore(np.array([2.0**18, 7, 0]))
    before = weights(learner)
    averages = learner.average.arrays()
    loss, _ = learner.step(make_batch(), 0, 0, 0.05, 0.9).read()
    assert np.isfinite(loss)
    assert learner.loss_scale.state().tolist() == [2.0**17, 0, 1]
    assert same_bits(before, weights(learner))
    assert same_bits(averages, learner.average.arrays())
    assert learner.optimizer.optimizer.num_update == 0
    for step in range(1, 9):
        learner.step(make_batch(step), 0, step, 0.05, 0.9)
    state = learner.loss_scale
    assert 1 < state.skipped < 9
    assert learner.optimizer.optimizer.num_update == 9 - state.skipped
    assert not same_bits(before, weights(learner))
    assert not same_bits(averages, learner.average.arrays())


def test_devices_make_and_leave_out_the_same_steps() -> None:
    learner = make_learner("float16", devices=2)
    learner.loss_scale.restore(np.array([2.0**17, 0, 0]))
    before = weights(learner)
    for step in range(4):
        learner.step(make_batch(step), 0, step, 0.05, 0.9)
    assert 0 < learner.loss_scale.skipped < 4
    assert not same_bits(before, weights(learner))
    for name, parameter in learner.network.collect_params().items():
        if "running" not in name:
            one, other = (copy.asnumpy() for copy in parameter.list_data())
            assert one.tobytes() == other.tobytes()


def test_a_resumed_run_ends_with_the_same_bits(tmp_path: Path) -> None:
    """Through steps that are left out, with the count of the ones that Adam has made."""
    whole, first, second = (make_learner("float16", "adam") for _ in range(3))
    for learner in (whole, first):
        learner.loss_scale.restore(np.array([2.0**19, 1998, 0]))
    for step in range(9):
        whole.step(make_batch(step), 0, step, 0.05, 0.9)
    for step in range(4):
        first.step(make_batch(step), 0, step, 0.05, 0.9)
    assert first.loss_scale.skipped > 0
    file = tmp_path / "last.states.npz"
    save_state(file, first, Progress(step=4, resume_key=RESUME_KEY))
    load_state(file, second, RESUME_KEY)
    assert second.optimizer.optimizer.num_update == 4 - first.loss_scale.skipped
    for step in range(4, 9):
        second.step(make_batch(step), 0, step, 0.05, 0.9)
    assert second.loss_scale.state().tolist() == whole.loss_scale.state().tolist()
    assert whole.loss_scale.skipped > first.loss_scale.skipped
    assert same_bits(values(whole), values(second))


def test_saved_parameters_load_into_the_stock_network(tmp_path: Path) -> None:
    learner = make_learner()
    learner.loss_scale.restore(np.array([256.0, 0, 0]))
    learner.step(make_batch(), 0, 0, 0.05, 0.9)
    learner.network.save_parameters(str(tmp_path / "best.params"))
    stock = make_learner("float32")
    stock.network.load_parameters(str(tmp_path / "best.params"))
    assert same_bits(values(learner), values(stock))
    saved = mx.nd.load(str(tmp_path / "best.params"))
    assert {array.dtype for array in saved.values()} == {np.float32}
