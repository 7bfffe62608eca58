"""The progress in a state file, as runs have always stored it."""

from __future__ import annotations

import io
import json
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from fashionai.errors import RunError
from fashionai.frameworks.mxnet import import_mxnet
from fashionai.training.batches.shares import WHOLE
from fashionai.training.gluon.ema import WeightAverage
from fashionai.training.gluon.learner import GluonLearner
from fashionai.training.records import checkpoint
from fashionai.training.records.checkpoint import Progress, load_state, save_state
from fashionai.training.steps.loss_scale import LossScale
from tests.support.torch_files import Calling

mx = import_mxnet()

SCORES = ("map", "accuracy", "basic_precision", "mrr", "balanced_accuracy", "roc_auc", "log_loss")
ROW = {
    **{"epoch": 1, "learning_rate": 0.1, "train_loss": 1.5, "train_accuracy": 0.5},
    **{f"val_{name}": 0.75 for name in (*SCORES, "predicted_classes")},
    **{"images_per_second": 30.5, "seconds": 1.25},
}
STORED = """\
{"epoch": 1, "step": 5, "loss_sum": 40.5, "correct": 21, "seen": 40, "seconds": 0.25,
"history": [ROW], "resume_key": {"devices": "1 cpu", "data": "0f"}, "test": {}}
""".replace("ROW", json.dumps(ROW))


def test_progress_is_read_and_written_under_the_keys_of_existing_states() -> None:
    progress = Progress.from_json(STORED)
    assert progress.resume_key == {"devices": "1 cpu", "data": "0f"}
    assert (progress.epoch, progress.step, progress.history[0]["val_map"]) == (1, 5, 0.75)
    assert json.loads(progress.to_json()) == json.loads(STORED)


@pytest.mark.parametrize("text", ["", "[1]", "3", '"text"', '{"epochs": 1}'])
def test_other_text_is_refused(text: str) -> None:
    with pytest.raises((ValueError, TypeError)):
        Progress.from_json(text)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        *(("epoch", value) for value in (None, "1", -1, 1.5, True, 10**400, [])),
        *(("step", None), ("loss_sum", "nan"), ("seconds", {}), ("correct", 0.5)),
        *(("history", {}), ("history", [1]), ("history", [{"epoch": None}])),
        *(
            ("resume_key", []),
            ("resume_key", "x"),
            ("test", None),
            ("test", {"map": "x"}),
            ("more", 1),
        ),
    ],
)
def test_a_progress_with_a_value_of_another_type(key: str, value: object) -> None:
    """What follows from it would end in a traceback, or silently begin elsewhere."""
    with pytest.raises(ValueError, match=key):
        Progress.from_json(json.dumps({**json.loads(STORED), key: value}))


@pytest.mark.parametrize("key", sorted(json.loads(STORED)))
def test_a_progress_without_a_key(key: str) -> None:
    fields = json.loads(STORED)
    del fields[key]
    with pytest.raises(ValueError, match=key):
        Progress.from_json(json.dumps(fields))


@pytest.mark.parametrize("score", ["roc_auc", "balanced_accuracy", "predicted_classes"])
def test_a_history_of_an_earlier_version_with_fewer_scores(score: str) -> None:
    later = {**ROW, "epoch": 2}
    del later[f"val_{score}"]
    with pytest.raises(ValueError, match=f"an epoch of its history lacks val_{score}$"):
        Progress.from_json(json.dumps({**json.loads(STORED), "history": [ROW, later]}))


@pytest.mark.parametrize("kind", ["ema", "test"])
def test_a_history_with_too_few_scores_of_other_weights_or_images(kind: str) -> None:
    row = {**ROW, **{f"{kind}_{name}": 0.5 for name in SCORES}}
    fields = {**json.loads(STORED), "history": [row]}
    assert Progress.from_json(json.dumps(fields)).history == [row]
    del row[f"{kind}_mrr"]
    with pytest.raises(ValueError, match=f"lacks {kind}_mrr$"):
        Progress.from_json(json.dumps(fields))


KEY = {"devices": "1 cpu", "data": "0f"}


def make_learner() -> Any:
    """What states are saved of, after one step."""
    network = mx.gluon.nn.HybridSequential()
    network.add(mx.gluon.nn.Dense(4, in_units=3), mx.gluon.nn.BatchNorm(in_channels=4))
    network.initialize(mx.init.Normal(1))
    trainer = mx.gluon.Trainer(
        network.collect_params(), "adam", kvstore="device", update_on_kvstore=False
    )
    learner: Any = GluonLearner.__new__(GluonLearner)
    vars(learner).update(
        network=network,
        optimizer=trainer,
        average=WeightAverage(network, 0.9),
        loss_scale=LossScale(),
        share=WHOLE,
        batch_plan=SimpleNamespace(first_step=lambda epoch: 10 * epoch),
    )
    return learner


@pytest.fixture
def state(tmp_path: Path) -> Path:
    save_state(tmp_path / "last.states.npz", after_a_step(), Progress(step=1, resume_key=KEY))
    return tmp_path / "last.states.npz"


def after_a_step() -> Any:
    learner = make_learner()
    with mx.autograd.record():
        loss = learner.network(mx.nd.ones((2, 3))).sum()
    loss.backward()
    learner.optimizer.step(1)
    return learner


def rewrite(state: Path, change: Callable[[dict[str, np.ndarray]], object]) -> None:
    with np.load(state) as stored:
        arrays = dict(stored)
    change(arrays)
    np.savez(state, **arrays)


def test_a_state_is_restored(state: Path, tmp_path: Path) -> None:
    learner = make_learner()
    assert load_state(state, learner, KEY).step == 1
    save_state(tmp_path / "again.npz", learner, Progress(step=1, resume_key=KEY))
    with np.load(state) as one, np.load(tmp_path / "again.npz") as other:
        assert set(one.files) == set(other.files)
        assert len([name for name in one.files if name.startswith("optimizer/")]) == 8
        for name in one.files:
            np.testing.assert_array_equal(one[name], other[name])


@pytest.mark.parametrize(("before", "now", "is_told"), [("2", "1", True), ("2", "2", False)])
def test_another_number_of_threads_is_told(
    state: Path, caplog: pytest.LogCaptureFixture, before: str, now: str, is_told: bool
) -> None:
    with caplog.at_level("INFO"):
        save_state(state, after_a_step(), Progress(step=1, resume_key={**KEY, "threads": before}))
        load_state(state, make_learner(), {**KEY, "threads": now})
        load_state(state, make_learner(), KEY)
    told = "begun with 2 threads, goes on with 1 thread: the last digits of its results may differ"
    assert [record.message for record in caplog.records] == [told] * is_told


@pytest.mark.parametrize(
    "name",
    ["parameters/0.weight/0", "parameters/1.running_mean/0", "average/0.bias", "optimizer/0/1"],
)
@pytest.mark.parametrize("other", ["one value", "another type", "nothing", "another name"])
def test_an_array_that_does_not_fit_is_refused(state: Path, name: str, other: str) -> None:
    """MXNet repeats one value, converts types, and begins without what is missing."""

    def change(arrays: dict[str, np.ndarray]) -> None:
        values = arrays.pop(name)
        if other == "one value":
            arrays[name] = values.reshape(-1)[:1]
        if other == "another type":
            arrays[name] = values.astype(np.float64)
        if other == "another name":
            arrays[f"{name}0"] = values

    rewrite(state, change)
    with pytest.raises(RunError, match="damaged, or of another network or version"):
        load_state(state, make_learner(), KEY)


def test_a_state_of_another_version_is_one_line(state: Path) -> None:
    """Of one that stored the key under another name."""
    progress = {**json.loads(STORED), "basis": {}}
    del progress["resume_key"]
    rewrite(state, lambda arrays: arrays.update(progress=np.array(json.dumps(progress))))
    message = r"version of fashionai, .*wrong or missing keys: resume_key, basis\)\. Start anew"
    with pytest.raises(RunError, match=message) as error:
        load_state(state, make_learner(), KEY)
    assert "\n" not in str(error.value)


def test_arrays_of_a_larger_network_are_refused(state: Path) -> None:
    rewrite(state, lambda arrays: arrays.update({"parameters/2.weight/0": np.zeros(3)}))
    with pytest.raises(RunError, match=r"parameters/2\.weight/0 is of another training"):
        load_state(state, make_learner(), KEY)


@pytest.mark.parametrize("values", [[np.inf, 0, 0], [np.nan, 0, 0], [2, -1, 0], [2, 0, np.inf]])
def test_a_loss_scale_that_cannot_be_is_refused(state: Path, values: list[float]) -> None:
    rewrite(state, lambda arrays: arrays.update(loss_scale=np.array(values, np.float64)))
    with pytest.raises(RunError, match="loss scale"):
        load_state(state, make_learner(), KEY)


@pytest.mark.parametrize("content", [b"", b"PK\5\6" + bytes(18), b"text"])
def test_a_file_that_is_no_state(state: Path, content: bytes) -> None:
    state.write_bytes(content)
    with pytest.raises(RunError, match="damaged, or of another network or version"):
        load_state(state, make_learner(), KEY)


def test_a_state_file_that_would_run_code(tmp_path: Path) -> None:
    """Arrays of objects are pickles: NumPy is told never to load them."""
    mark, state = tmp_path / "mark", tmp_path / "last.states.npz"
    member = io.BytesIO()
    header = {"descr": "|O", "fortran_order": False, "shape": ()}
    np.lib.format.write_array_header_1_0(member, header)
    member.write(pickle.dumps(Calling(Path.touch, mark)))
    with zipfile.ZipFile(state, "w") as archive:
        archive.writestr(f"{checkpoint.PROGRESS}.npy", member.getvalue())
    learner: Any = SimpleNamespace(framework_errors=())
    with pytest.raises(RunError, match="damaged, or of another network or version"):
        load_state(state, learner, {})
    assert not mark.exists()
    # The attack works where pickles are loaded.
    np.load(state, allow_pickle=True)[checkpoint.PROGRESS]
    assert mark.exists()
