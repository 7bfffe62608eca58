"""A learner of PyTorch and one of MXNet, from the same weights through the same batches."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from fashionai.errors import RunError
from fashionai.frameworks.devices import Device
from fashionai.frameworks.torch import import_torch
from fashionai.models.networks.options import of_classes
from fashionai.models.networks.registry import NETWORKS
from fashionai.training.gluon.opening import describe_network
from fashionai.training.learners.learner import Learner
from fashionai.training.records.checkpoint import Progress, load_state, save_state
from fashionai.training.torch.learner import TorchLearner
from tests.support.learners import (
    Pair,
    assert_close,
    make_batch,
    make_config,
    make_samples,
    open_one,
    open_pair,
    smooth_net,
)
from tests.support.transformers import SMALL

torch = import_torch()

# What PyTorch warns of would appear in the user's terminal.
pytestmark = pytest.mark.filterwarnings("error::UserWarning")

ROWS = 24
RESUME_KEY = {"devices": "1 cpu", "data": "0"}
MIXED = ["loss.mixup=0.4", "loss.cutmix=1.0"]
CASES = {
    "plain": [],
    "one task": ["task=skirt"],
    "label smoothing": ["loss.label_smoothing=0.1"],
    "soft m": ["data.maybe=soft", "data.maybe_share=0.3"],
    "class weights": ["loss.class_weights=balanced", "loss.label_smoothing=0.1"],
    "named weights": ["task=skirt", "loss.class_weights={Midi: 3}"],
    "focal": ["loss.focal_gamma=2", "loss.class_weights=effective", "loss.label_smoothing=0.1"],
    "mixup": ["loss.mixup=0.4"],
    "cutmix": ["loss.cutmix=1.0"],
    "everything mixed": [*MIXED, "data.maybe=soft", "loss.class_weights=balanced"],
    "averages": ["ema=0.9"],
    "averages, nag": ["ema=0.5", "optimizer.name=nag"],
    "last stage": ["trainable=last-stage", "ema=0.9"],
    "last stage, mixup": ["trainable=last-stage", "loss.mixup=0.4", "optimizer.name=nag"],
    "head on pixels": ["trainable=head", "loss.mixup=0.4", "ema=0.9"],
    "balanced": ["data.sampler=balanced", "loss.class_weights=balanced"],
}


def make_pair(folder: Path, *overrides: str) -> Pair:
    config = make_config(folder, "optimizer.lr=0.01", *overrides)
    return open_pair(config, make_samples(ROWS, config.task_names))


@pytest.mark.parametrize("name", CASES)
def test_both_learn_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """Losses, correct predictions, weights, statistics, averages: equal but for rounding."""
    monkeypatch.setitem(NETWORKS, "smooth", of_classes(smooth_net))
    pair = make_pair(tmp_path, "model.name=smooth", *CASES[name])
    begun = pair.gluon.parameters()
    assert_close(begun, pair.torch.parameters(), 0)
    for step in range(6):
        take_step(pair, step)
        assert_close(pair.gluon.state(), pair.torch.state(), 1e-5)
    parameters = pair.torch.parameters()
    changed = {key for key, values in parameters.items() if (values != begun[key]).any()}
    # Batch normalisation without scale has a gamma that is never trained.
    learning = begun.keys() - {"features.4.gamma"}
    if name.startswith("head"):
        assert changed == {"output.weight", "output.bias"}
    elif name.startswith("last stage"):
        assert {"output.weight", "output.bias"} < changed < learning
    else:
        assert changed == learning
    images = make_batch(99, pair.gluon.train, 6).images
    probabilities = [learner.probabilities([images]) for learner in pair]
    np.testing.assert_allclose(probabilities[1], probabilities[0], atol=1e-5)
    if pair.torch.has_average:
        compare_averaged(pair)


@pytest.mark.parametrize("trainable", ["all", "last-stage", "head"])
@pytest.mark.parametrize("name", SMALL)
def test_transformers_learn_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, trainable: str
) -> None:
    monkeypatch.setitem(NETWORKS, name, SMALL[name])
    # Mixed images have no kept features: the output layer is then trained on pixels.
    options = [f"model.name={name}", f"trainable={trainable}", "loss.mixup=0.4"]
    pair = make_pair(tmp_path, *options)
    begun = pair.gluon.parameters()
    for step in range(3):
        # From an output layer of zeros, some logits are equal but for rounding, which decides then.
        take_step(pair, step, rel=1e-4, ties=2 if trainable == "head" else 0)
        assert_close(pair.gluon.state(), pair.torch.state(), 1e-4)
    parameters = pair.torch.parameters()
    changed = {key for key, values in parameters.items() if (values != begun[key]).any()}
    if trainable == "head":
        assert changed == {"output.weight", "output.bias"}
    else:
        assert (changed == begun.keys()) == (trainable == "all")


def take_step(pair: Pair, step: int, rel: float = 1e-5, ties: int = 0) -> None:
    """The same batch for both; ``ties`` is the most images that they may classify differently."""
    batch = make_batch(step, pair.gluon.train, 8)
    results = [learner.step(batch, 0, step, 0.1, 0.9) for learner in pair]
    assert results[0].images == results[1].images == 8
    (loss, correct), (torch_loss, torch_correct) = (result.read() for result in results)
    assert torch_loss == pytest.approx(loss, rel=rel)
    assert abs(torch_correct - correct) <= ties


def compare_averaged(pair: Pair) -> None:
    """The averages are the weights while they are applied, and not afterwards."""
    plain = [learner.parameters() for learner in pair]
    with pair.gluon.averaged(), pair.torch.averaged():
        averages = [learner.parameters() for learner in pair]
        assert_close(*averages, 1e-5)
        assert np.abs(averages[1]["output.weight"] - plain[1]["output.weight"]).max() > 1e-3
    for learner, values in zip(pair, plain):
        assert_close(values, learner.parameters(), 0)


def test_a_network_with_relus_agrees_in_its_first_steps(tmp_path: Path) -> None:
    """Rounding turns single ReLUs and maxima on and off, which adds up from step to step."""
    pair = make_pair(tmp_path, "ema=0.9")
    for step in range(3):
        take_step(pair, step, rel=1e-4)
        assert_close(pair.gluon.state(), pair.torch.state(), 1e-4 if step == 0 else 5e-3)


@pytest.mark.parametrize("name", ["plain", "averages, nag", "last stage", "head on pixels"])
def test_state_files_have_the_same_arrays(tmp_path: Path, name: str) -> None:
    """After a step: either framework can read them, as far as arrays are concerned."""
    pair = make_pair(tmp_path, *CASES[name])
    found = []
    for learner, key in zip(pair, Pair._fields):
        learner.step(make_batch(0, learner.train, 8), 0, 0, 0.01, 0.9).read()
        save_state(tmp_path / f"{key}.npz", learner, Progress(step=1, resume_key=RESUME_KEY))
        with np.load(tmp_path / f"{key}.npz", allow_pickle=False) as arrays:
            names = [each for each in arrays.files if each != "progress"]
            found.append({each: (arrays[each].shape, arrays[each].dtype) for each in names})
    assert list(found[0].items()) == list(found[1].items())


@pytest.mark.parametrize(
    "options",
    [["optimizer.name=adamw", "ema=0.9", *MIXED], ["trainable=last-stage", "optimizer.name=nag"]],
)
def test_a_saved_state_goes_on_with_the_same_bits(tmp_path: Path, options: list[str]) -> None:
    config = make_config(tmp_path, *options)
    samples = make_samples(ROWS)
    whole, first, second = (open_one(config, samples, "torch") for _ in range(3))
    for step in range(6):
        whole.step(make_batch(step, samples, 8), 0, step, 0.01, 0.9)
    for step in range(3):
        first.step(make_batch(step, samples, 8), 0, step, 0.01, 0.9)
    file = tmp_path / "last.states.npz"
    save_state(file, first, Progress(step=3, resume_key=RESUME_KEY))
    load_state(file, second, RESUME_KEY)
    assert_close(first.state(), second.state(), 0)
    for step in range(3, 6):
        second.step(make_batch(step, samples, 8), 0, step, 0.01, 0.9)
    assert_close(whole.state(), second.state(), 0)


def test_states_of_another_network_are_refused(tmp_path: Path) -> None:
    config = make_config(tmp_path, "ema=0.9")
    samples = make_samples(ROWS)
    learner = open_one(config, samples, "torch")
    state = learner.state()
    fewer_classes = make_config(tmp_path, "ema=0.9", "task=skirt")
    refuse(tmp_path, state, open_one(fewer_classes, make_samples(ROWS, ["skirt"]), "torch"))
    for name in ("average/output.bias", "optimizer/0/0", "parameters/output.bias/0"):
        for damaged in ({}, {name: np.zeros(3, np.float32)}):
            rest = {key: values for key, values in state.items() if key != name}
            refuse(tmp_path, {**rest, **damaged}, learner)


def refuse(folder: Path, state: dict[str, np.ndarray], learner: Learner) -> None:
    """Save this state, and see that the learner does not take it."""
    saved = SimpleNamespace(state=lambda: state, writes=True)
    save_state(folder / "other.npz", saved, Progress(resume_key=RESUME_KEY))  # type: ignore[arg-type]
    with pytest.raises(RunError, match="cannot resume from it") as error:
        load_state(folder / "other.npz", learner, RESUME_KEY)
    assert "\n" not in str(error.value)


def test_parameters_are_copies(tmp_path: Path) -> None:
    """What was read before a step does not change by it."""
    pair = make_pair(tmp_path, "ema=0.9")
    for learner in pair:
        parameters, state = learner.parameters(), learner.state()
        copies = [{k: v.copy() for k, v in each.items()} for each in (parameters, state)]
        learner.step(make_batch(0, learner.train, 8), 0, 0, 0.01, 0.9).read()
        assert_close(copies[0], parameters, 0)
        assert_close(copies[1], state, 0)


def test_bfloat16_learns_and_saves_float32(tmp_path: Path) -> None:
    config = make_config(tmp_path, "task=skirt", "precision=bfloat16", "optimizer.name=adam")
    samples = make_samples(ROWS, ["skirt"])
    learner = open_one(config, samples, "torch")
    exact = open_one(config.changed({"precision": "float32"}), samples, "torch")
    batch = make_batch(0, samples, 8)
    losses = [learner.step(batch, 0, step, 0.003, 0.9).read()[0] for step in range(12)]
    assert losses[-1] < 0.5 * losses[0]
    first = exact.step(batch, 0, 0, 0.003, 0.9).read()[0]
    assert losses[0] == pytest.approx(first, rel=0.02)
    assert losses[0] != first
    learner.save_parameters(tmp_path / "best.params")
    parameters = learner.parameters()
    arrays = {**parameters, **learner.state()}
    assert {values.dtype for values in arrays.values()} == {np.dtype(np.float32)}
    with learner.loaded(tmp_path / "best.params"):
        assert_close(parameters, learner.parameters(), 0)


def test_kept_features_are_computed_in_float32(tmp_path: Path) -> None:
    """Other trainings read them, whatever their precision; the phases after it have their own."""
    samples = make_samples(ROWS)
    config = make_config(tmp_path, "trainable={head: 0.5, all: 0.5}", "data.augment=[]")
    for phase, allowed in ((config.phases[1], True), (config.phases[0], False)):
        # On the CPU, where open_learner refuses this precision, the switches are the same.
        wanted = config.in_phase(phase).changed({"engine": "torch"})
        description = describe_network(wanted, samples, True)[2]
        tf32 = wanted.changed({"precision": "tf32"})
        for pixels_only in (True, False):
            TorchLearner(tf32, samples, [Device("cpu")], description, pixels_only=pixels_only)
            switches = torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32
            assert switches == (allowed or pixels_only,) * 2
