"""One network with a head for each of several tasks, from its steps to its predictions."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest

from fashionai.cli import main
from fashionai.config import Config, load_config
from fashionai.datasets.prepared.samples import Samples, read_samples
from fashionai.families import find_task
from fashionai.frameworks.mxnet import import_mxnet
from fashionai.metrics import SCORE_NAMES
from fashionai.models.networks.options import of_classes
from fashionai.models.networks.registry import NETWORKS
from fashionai.pipeline.augmentation.mixing import draw_mixing
from fashionai.pipeline.loader import MIXING_STREAM, Batch
from fashionai.predictions.predict import Request, predict
from fashionai.runs import Run, create_run
from fashionai.training.gluon.learner import GluonLearner
from fashionai.training.trainer import Trainer
from tests.support.data_trees import write_fashionai_data
from tests.support.prepared_data import prepare

mx = import_mxnet()

SKIRT, COLLAR = find_task("skirt"), find_task("collar")
# Collar comes first, so that neither the order of names nor that of folders is the right one.
COLUMNS = {"collar": slice(0, 5), "skirt": slice(5, 11)}
SCORES = tuple(SCORE_NAMES)

CONFIG = """\
task: [collar, skirt]
model: {name: mobilenet0.25, pretrained: false}
data: {resize_short: 40, crop: 32}
epochs: 6
batch_size: 8
seed: 1
optimizer: {name: sgd, lr: 0.05}
schedule: {name: cosine}
"""


def run_command(*arguments: object) -> None:
    """The command line without another process, which would import MXNet again."""
    main([str(argument) for argument in arguments])


def make_config(*overrides: str) -> Config:
    return load_config(Path("both.yaml"), overrides)


def small_learner(*overrides: str, contexts: int = 1) -> GluonLearner:
    config = make_config("model.name=small_cnn", "data.resize_short=36", *overrides)
    devices = [mx.cpu(index) for index in range(contexts)]
    return GluonLearner(config, read_samples(config, "train"), devices)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Both tasks prepared, and a finished run that has learnt both of them."""
    folder = tmp_path_factory.mktemp("heads")
    for task in (SKIRT, COLLAR):
        classes = len(task.classes)
        write_fashionai_data(folder / "data", task.name, classes, per_class=12, test_per_class=2)
    (folder / "both.yaml").write_text(CONFIG)
    prepare(folder, "skirt", "collar")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        Trainer(make_config(), [mx.cpu()]).fit(create_run(Path("runs/both")))
    return folder


@pytest.fixture(autouse=True)
def inside(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Work in the folder, as a user does."""
    monkeypatch.chdir(folder)


def read_history(run: str) -> list[dict[str, float]]:
    with open(f"{run}/history.csv") as handle:
        return [{k: float(value) for k, value in row.items()} for row in csv.DictReader(handle)]


def stock_logits(parameters: Path, paths: list[Path]) -> np.ndarray:
    """Logits of centre crops by the zoo's own network of 11 classes, one image at a time."""
    network = mx.gluon.model_zoo.vision.mobilenet0_25(classes=11)
    network.load_parameters(str(parameters))
    rows = []
    for path in paths:
        image = cv2.imread(str(path))[:, :, ::-1]
        scale = 40 / min(image.shape[:2])
        size = (round(image.shape[1] * scale), round(image.shape[0] * scale))
        method = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
        image = cv2.resize(image, size, interpolation=method)
        top, left = ((side - 32) // 2 for side in image.shape[:2])
        pixels = image[top : top + 32, left : left + 32] / 255
        pixels = (pixels - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225]
        rows.append(network(mx.nd.array(pixels.transpose(2, 0, 1)[None])).asnumpy()[0])
    return np.array(rows, np.float64)


def softmax(logits: np.ndarray) -> np.ndarray:
    return np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)


def images(task: str, name: str = "rank") -> list[Path]:
    return sorted(Path(f"data/{name}/Images/{find_task(task).name}").glob("*.jpg"))


def test_both_tasks_are_learnt_and_their_mean_is_what_counts() -> None:
    rows = read_history("runs/both")
    for row in rows:
        for score in SCORES:
            mean = (row[f"val_skirt.{score}"] + row[f"val_collar.{score}"]) / 2
            assert row[f"val_{score}"] == pytest.approx(mean, rel=1e-12)
    metrics = json.loads(Path("runs/both/metrics.json").read_text())
    assert metrics["best"]["map"] == max(row["val_map"] for row in rows)
    best = rows[metrics["best_epoch"] - 1]
    for task in (SKIRT, COLLAR):
        assert best[f"val_{task.short_name}.map"] > 0.6, "chance is about 0.2"
        scores = {name: best[f"val_{task.short_name}.{name}"] for name in SCORES}
        assert metrics["tasks"][task.name] == scores


def test_best_parameters_are_the_zoos_own_network_of_the_sum_of_classes() -> None:
    """Its logits, cut into heads and soft-maxed, are the predictions and the scores."""
    run = Run.open(Path("runs/both"))
    questions = [Request(task, images(task.short_name), [run]) for task in (SKIRT, COLLAR)]
    for question, actual in zip(questions, predict(questions, [mx.cpu()], crops=1)):
        logits = stock_logits(run.folder.best_parameters, list(question.images))
        expected = softmax(logits[:, COLUMNS[question.task.short_name]])
        np.testing.assert_allclose(actual, expected, atol=2e-5)
        assert np.ptp(expected[:, 0]) > 0.1, "the network answers the same everywhere"
    best = read_history("runs/both")[run.metrics["best_epoch"] - 1]
    for task in (SKIRT, COLLAR):
        paths = sorted(Path(f"data/train_valid/{task.name}/val").glob("*/*.jpg"))
        found = stock_logits(run.folder.best_parameters, paths)[:, COLUMNS[task.short_name]].argmax(
            axis=1
        )
        truth = [int(path.parent.name.split("_")[0]) for path in paths]
        assert best[f"val_{task.short_name}.accuracy"] == pytest.approx(np.mean(found == truth))


@pytest.mark.parametrize("monitor", ["skirt.map", "collar.log_loss"])
def test_the_score_of_one_task_may_choose_the_best_epoch(monitor: str) -> None:
    overrides = [f"monitor={monitor}", "epochs=3", "model.name=small_cnn", "optimizer.lr=0.3"]
    config = make_config(*overrides, "schedule.name=constant")
    run = create_run(Path(f"other/{monitor}"))
    trainer = Trainer(config, [mx.cpu()])
    metrics = trainer.fit(run)
    scores = [row[f"val_{monitor}"] for row in read_history(str(run))]
    best = min(scores) if monitor.endswith("loss") else max(scores)
    assert metrics["best_epoch"] == 1 + scores.index(best)
    trainer.learner.network.load_parameters(str(run.best_parameters))
    again = trainer.learner.scores(trainer.val_samples)[monitor]
    assert again == pytest.approx(best, rel=1e-9)


def test_a_step_over_one_tasks_rows_leaves_the_other_head_as_it_was() -> None:
    learner = small_learner("optimizer.weight_decay=0", "loss.label_smoothing=0.1")
    output = learner.network.output
    start = {name: p.data().asnumpy() for name, p in output._reg_params.items()}
    chosen = learner.train.of_task(learner.train.tasks.index(SKIRT))
    for step, batch in zip(range(3), batches_of(learner, chosen)):
        learner.step(batch, 0, step, 0.1, 0.9)
    for name, parameter in output._reg_params.items():
        now = parameter.data().asnumpy()
        assert np.array_equal(now[COLUMNS["collar"]], start[name][COLUMNS["collar"]])
        assert (now[COLUMNS["skirt"]] != start[name][COLUMNS["skirt"]]).any(axis=-1).all()


def batches_of(learner: GluonLearner, rows: np.ndarray) -> list[Batch]:
    """Three batches of random pixels that claim to be these rows."""
    rng = np.random.default_rng(0)
    return [
        Batch(rng.integers(0, 256, (8, 1, 32, 32, 3), np.uint8), rng.permutation(rows)[:8])
        for _ in range(3)
    ]


def test_results_may_be_read_steps_later() -> None:
    """The graph's memory is planned once, and must not be that of results still unread."""
    late, at_once = small_learner(), small_learner()
    rows = np.arange(len(late.train.paths))
    waiting = [late.step(b, 0, i, 0.1, 0.9) for i, b in enumerate(batches_of(late, rows))]
    for step, batch in enumerate(batches_of(at_once, rows)):
        expected = at_once.step(batch, 0, step, 0.1, 0.9).read()
        assert waiting[step].read() == expected


def linear(classes: int):
    """A network that NumPy computes in one product."""
    network = mx.gluon.nn.HybridSequential()
    network.add(mx.gluon.nn.Flatten(), mx.gluon.nn.Dense(classes, use_bias=False))
    return network


@pytest.mark.parametrize("devices", [1, 2])
@pytest.mark.parametrize("loss", ["mixup", "cutmix"])
def test_a_mixed_step_has_the_losses_of_both_rows(
    monkeypatch: pytest.MonkeyPatch, devices: int, loss: str
) -> None:
    """Also across heads; each device mixes its own part of the batch."""
    monkeypatch.setitem(NETWORKS, "linear", of_classes(linear))
    learner = small_learner("model.name=linear", f"loss.{loss}=1.0", contexts=devices)
    weight = next(iter(learner.network.collect_params().values())).data(mx.cpu(0)).asnumpy()
    train = learner.train
    batch = batches_of(learner, np.arange(len(train.paths)))[0]
    assert len(set(train.heads[batch.rows])) == 2
    result = learner.step(batch, epoch=2, step=5, lr=0.1, momentum=0.9)

    rng = np.random.default_rng((1, 2, 5, MIXING_STREAM))
    expected = []
    for part in np.array_split(np.arange(8), devices):
        mixing = draw_mixing(learner.config.loss, len(part), 32, rng)
        pixels = (batch.images[part, 0] / 255 - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225]
        views, mask = pixels.transpose(0, 3, 1, 2), mixing.weights.astype(np.float64)
        for at, partner in enumerate(mixing.partners):
            view = mask[0] * views[at] + (1 - mask[0]) * views[partner]
            logits = weight @ view.ravel()
            losses = [cross_entropy(train, batch.rows[part[i]], logits) for i in (at, partner)]
            expected.append(mask.mean() * losses[0] + (1 - mask.mean()) * losses[1])
    assert result.read()[0] == pytest.approx(sum(expected), rel=1e-5)


def cross_entropy(train: Samples, row: int, logits: np.ndarray) -> float:
    """-ln of the probability that the row's own head gives the class marked y."""
    part = COLUMNS[train.tasks[train.heads[row]].short_name]
    truth = list(train.marks[row, part]).index(2)
    return float(-np.log(softmax(logits[None, part])[0, truth]))


def test_an_image_of_two_tasks_is_computed_once() -> None:
    run = Run.open(Path("runs/both"))
    skirts, collars = images("skirt"), images("collar")
    questions = [
        Request(SKIRT, skirts, [run]),
        Request(COLLAR, [*collars[::-1], *skirts[3:6], skirts[3]], [run]),
    ]
    done: list[int] = []
    together = predict(questions, [mx.cpu()], crops=5, batch_size=4, progress=done.append)
    assert sum(done) == len(skirts) + len(collars)
    for question, actual in zip(questions, together):
        alone = predict([question], [mx.cpu()], crops=5, batch_size=4)[0]
        np.testing.assert_allclose(actual, alone, atol=1e-6)
    assert together[1].shape == (len(collars) + 4, 5)


def predicted(file: Path) -> dict[str, np.ndarray]:
    """Probabilities of a prediction file by image."""
    rows = (line.split(",") for line in file.read_text().splitlines())
    return {image: np.array(values.split(";"), float) for image, _, values in rows}


def test_a_question_file_of_one_of_the_tasks_is_predicted_by_its_head(
    capsys: pytest.CaptureFixture[str],
) -> None:
    lines = Path("data/rank/Tests/question.csv").read_text().splitlines()
    asked = [line for line in lines if "collar" in line]
    assert 0 < len(asked) < len(lines)
    Path("data/rank/Tests/collar.csv").write_text("\n".join(asked) + "\n")
    arguments = ["--questions", "data/rank/Tests/collar.csv", "--out", "collar.csv"]
    run_command("predict", *arguments, "--run", "runs/both", "--crops", "1", "--device", "cpu")
    answers = predicted(Path("collar.csv"))
    paths = [Path("data/rank") / image for image in answers]
    assert [str(path) for path in paths] == [f"data/rank/{line.split(',')[0]}" for line in asked]
    logits = stock_logits(Path("runs/both/best.params"), paths)
    expected = softmax(logits[:, COLUMNS["collar"]])
    np.testing.assert_allclose(list(answers.values()), expected, atol=2e-5)
    assert "collar_design_labels: runs/both (validation mAP" in capsys.readouterr().out


def test_evaluating_a_run_scores_each_of_its_tasks(capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["--crops", "1", "--json", "scores.json", "--device", "cpu"]
    run_command("evaluate", "--run", "runs/both", *arguments)
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    # Each is followed by the two ends of its confidence intervals.
    scored = lines[1:10:3]
    metrics = json.loads(Path("runs/both/metrics.json").read_text())
    written = json.loads(Path("scores.json").read_text())
    assert [line[0] for line in scored] == [COLLAR.name, SKIRT.name, "mean"]
    for line, task in zip(scored, (COLLAR, SKIRT)):
        # The centre crop is what training validates with.
        assert float(line[2]) == pytest.approx(metrics["tasks"][task.name]["map"], abs=1e-4)
        for score in SCORES:
            expected = metrics["tasks"][task.name][score]
            assert written["tasks"][task.name][score] == pytest.approx(expected, abs=1e-5)


def test_every_task_takes_the_run_that_is_best_at_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of two runs of both tasks, one is said to be better at skirts, the other at collars."""
    scores = {"a": (0.9, 0.2), "b": (0.3, 0.6)}
    for name, (skirt, collar) in scores.items():
        run = tmp_path / "runs" / name
        shutil.copytree("runs/both", run)
        metrics = json.loads((run / "metrics.json").read_text())
        metrics["tasks"] = {SKIRT.name: {"map": skirt}, COLLAR.name: {"map": collar}}
        (run / "metrics.json").write_text(json.dumps(metrics))
    shutil.copytree("data/rank", tmp_path / "data/rank")
    monkeypatch.chdir(tmp_path)
    run_command("predict", "--out", "answers.csv", "--crops", "1", "--device", "cpu")
    told = capsys.readouterr().out
    assert "skirt_length_labels: runs/a (validation mAP 0.9000" in told
    assert "collar_design_labels: runs/b (validation mAP 0.6000" in told
    asked = Path("data/rank/Tests/question.csv").read_text().splitlines()
    assert list(predicted(Path("answers.csv"))) == [line.split(",")[0] for line in asked]
