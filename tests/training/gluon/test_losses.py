"""Targets, the loss of several heads, and mixed batches against direct computations."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import log_loss

from fashionai.config.sections import LossConfig
from fashionai.frameworks.mxnet import import_mxnet
from fashionai.metrics import MARK_LETTERS
from fashionai.models.forward import Forward
from fashionai.pipeline.augmentation.mixing import Mixing, draw_mixing
from fashionai.training.batches.targets import count_correct, mix_targets, soft_targets
from fashionai.training.gluon.losses import CrossEntropy

mx = import_mxnet()

ONE_HEAD = [slice(0, 5)]
# Heads of 3, 4 and 2 classes, and the head of each of some rows.
COLUMNS = [slice(0, 3), slice(3, 7), slice(7, 9)]
HEADS = np.array([0, 1, 2, 1, 0, 2, 1])
# MXNet's logarithms of soft-max are right to about 5e-6.
CLOSE = {"rtol": 1e-4, "atol": 1e-5}


def marks_of(*labels: str) -> np.ndarray:
    return np.array([[MARK_LETTERS[letter] for letter in label] for label in labels], np.int8)


def targets_of(label: str, **options: float) -> list[float]:
    return soft_targets(marks_of(label), np.array([0]), ONE_HEAD, **options)[0].tolist()


@pytest.mark.parametrize(
    ("label", "options", "expected"),
    [
        ("nynnn", {}, [0, 1, 0, 0, 0]),
        ("mymnn", {}, [0, 1, 0, 0, 0]),
        ("nymnn", {"maybe_share": 0.2}, [0, 0.8, 0.2, 0, 0]),
        ("mymnm", {"maybe_share": 0.3}, [0.1, 0.7, 0.1, 0, 0.1]),
        ("mmmmy", {"maybe_share": 0.2}, [0.05, 0.05, 0.05, 0.05, 0.8]),
        ("nynnn", {"maybe_share": 0.2}, [0, 1, 0, 0, 0]),
        ("nynnn", {"smoothing": 0.1}, [0.02, 0.92, 0.02, 0.02, 0.02]),
        ("nymnn", {"maybe_share": 0.2, "smoothing": 0.5}, [0.1, 0.5, 0.2, 0.1, 0.1]),
    ],
)
def test_the_true_class_and_those_marked_m_have_their_shares(label, options, expected) -> None:
    assert targets_of(label, **options) == pytest.approx(expected, abs=1e-7)


def random_targets(seed: int = 0, **options: float) -> np.ndarray:
    """Soft targets of rows of all heads with a random true class and a class marked m."""
    rng = np.random.default_rng(seed)
    marks = np.zeros((len(HEADS), 9), np.int8)
    for row, head in enumerate(HEADS):
        part = COLUMNS[head]
        first, second = rng.choice(np.arange(part.start, part.stop), 2, replace=False)
        marks[row, first], marks[row, second] = MARK_LETTERS["y"], MARK_LETTERS["m"]
    return soft_targets(marks, HEADS, COLUMNS, **options)


def test_targets_of_a_row_are_a_distribution_over_its_own_head() -> None:
    targets = random_targets(maybe_share=0.2, smoothing=0.1)
    assert targets.dtype == np.float32
    for row, head in zip(targets, HEADS):
        part = COLUMNS[head]
        assert row[part].sum() == pytest.approx(1)
        assert row[part].min() >= 0.1 / (part.stop - part.start) - 1e-7
        assert np.delete(row, np.arange(part.start, part.stop)).tolist() == [0] * (
            9 - part.stop + part.start
        )


def naive_softmax(values: np.ndarray) -> np.ndarray:
    return np.exp(values) / np.exp(values).sum()


def naive_loss(logits: np.ndarray, target: np.ndarray) -> float:
    """The cross-entropy of one row: -sum of target * ln(probability), head by head."""
    loss = 0.0
    for part in COLUMNS:
        for probability, share in zip(naive_softmax(logits[part]), target[part]):
            loss -= share * np.log(probability)
    return loss


def losses_of(logits: np.ndarray, targets: np.ndarray, columns: list[slice]) -> np.ndarray:
    loss = CrossEntropy(columns)
    loss.hybridize()
    return loss(mx.nd.array(logits), mx.nd.array(targets)).asnumpy()


def test_one_head_is_sklearns_log_loss() -> None:
    rng = np.random.default_rng(5)
    logits, truth = rng.normal(0, 3, (20, 5)), np.arange(20) % 5
    probabilities = np.array([naive_softmax(row) for row in logits])
    actual = losses_of(logits, np.eye(5)[truth], ONE_HEAD)
    assert actual.shape == (20,)
    assert actual.mean() == pytest.approx(log_loss(truth, probabilities), rel=1e-5)


@pytest.mark.parametrize("options", [{}, {"maybe_share": 0.2, "smoothing": 0.1}])
def test_several_heads_are_the_cross_entropy_of_each_rows_own(options) -> None:
    logits = np.random.default_rng(1).normal(0, 3, (7, 9)).astype(np.float32)
    targets = random_targets(**options)
    expected = [naive_loss(row, target) for row, target in zip(logits, targets)]
    np.testing.assert_allclose(losses_of(logits, targets, COLUMNS), expected, **CLOSE)


def test_large_logits_do_not_overflow() -> None:
    losses = losses_of(np.array([[1e4, 0, -1e4, 0, 0]]), np.eye(5)[[2]], ONE_HEAD)
    assert losses.tolist() == [2e4]


def test_a_row_gives_other_heads_no_gradient_at_all() -> None:
    """And its own that of the cross-entropy: (probability - target) times the features."""
    targets = random_targets(smoothing=0.1)
    for head, part in enumerate(COLUMNS):
        rows = np.flatnonzero(head == HEADS)
        output = mx.gluon.nn.Dense(9, in_units=4)
        output.initialize(mx.init.Normal(1))
        features = np.random.default_rng(2).normal(size=(len(rows), 4))
        with mx.autograd.record():
            logits = output(mx.nd.array(features))
            losses = CrossEntropy(COLUMNS)(logits, mx.nd.array(targets[rows]))
        losses.backward()
        weight, bias = output.weight.grad().asnumpy(), output.bias.grad().asnumpy()
        others = np.delete(np.arange(9), np.arange(part.start, part.stop))
        assert np.count_nonzero(weight[others]) == np.count_nonzero(bias[others]) == 0
        probabilities = np.array([naive_softmax(row[part]) for row in logits.asnumpy()])
        expected = (probabilities - targets[rows, part]).T @ features
        np.testing.assert_allclose(weight[part], expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("options", [{}, {"maybe_share": 0.2, "smoothing": 0.1}])
def test_a_mixed_row_has_the_weighted_losses_of_both_also_across_heads(options) -> None:
    """lambda * CE(own) + (1 - lambda) * CE(partner), each by the logits of its own head."""
    targets = random_targets(**options)
    logits = np.random.default_rng(3).normal(0, 2, (7, 9)).astype(np.float32)
    order, share = np.array([1, 0, 3, 2, 2, 5, 0]), 0.3
    mixed = mix_targets(targets, Mixing(order, np.full((1, 1, 4, 4), 0.3), share))
    assert mixed.dtype == np.float32
    expected = [
        share * naive_loss(logits[row], targets[row])
        + (1 - share) * naive_loss(logits[row], targets[partner])
        for row, partner in enumerate(order)
    ]
    np.testing.assert_allclose(losses_of(logits, mixed, COLUMNS), expected, **CLOSE)
    assert len({HEADS[row] == HEADS[partner] for row, partner in enumerate(order)}) == 2


class SeenPixels(mx.gluon.HybridBlock):
    """A network whose answer is what it was shown, row by row, and knows nothing else."""

    def hybrid_forward(self, F, x):  # noqa: N803 - Gluon's name
        return F.flatten(x)


MEAN, STD = [0.5, 0.4, 0.3], [0.2, 0.25, 0.5]


def naive_view(image: np.ndarray, partner: np.ndarray, weights: np.ndarray) -> list[float]:
    """Both images mixed as uint8 values pixel by pixel, and then normalised."""
    return [
        (
            (
                weights[0, 0, row, column] * float(image[row, column, channel])
                + (1 - weights[0, 0, row, column]) * float(partner[row, column, channel])
            )
            / 255
            - MEAN[channel]
        )
        / STD[channel]
        for channel in range(3)
        for row in range(image.shape[0])
        for column in range(image.shape[1])
    ]


@pytest.mark.parametrize("loss", [LossConfig(mixup=1.0), LossConfig(cutmix=1.0), LossConfig()])
def test_the_network_sees_the_mixed_pixels(loss: LossConfig) -> None:
    images = np.random.default_rng(4).integers(0, 256, (5, 6, 6, 3), np.uint8)
    forward = Forward(SeenPixels(), MEAN, STD, [mx.cpu()], [slice(0, 108)])
    for seed in range(5):
        mixing = draw_mixing(loss, 5, 6, np.random.default_rng(seed))
        seen = forward.logits(mx.nd.array(images, dtype="uint8"), mixing).asnumpy()
        order = np.arange(5) if mixing is None else mixing.partners
        weights = np.ones((1, 1, 6, 6)) if mixing is None else mixing.weights
        expected = [naive_view(images[i], images[order[i]], weights) for i in range(5)]
        np.testing.assert_allclose(seen, expected, atol=2e-6)


@pytest.mark.parametrize("loss", [LossConfig(mixup=0.4), LossConfig(cutmix=1.0)])
def test_the_loss_of_a_mixed_batch_from_pixels_to_number(loss: LossConfig) -> None:
    """A linear network in NumPy: mixed pixels, logits, both cross-entropies, their mean."""
    rng = np.random.default_rng(6)
    images = rng.integers(0, 256, (7, 6, 6, 3), np.uint8)
    network = mx.gluon.nn.Dense(9, in_units=108)
    network.initialize(mx.init.Normal(0.1))
    weight = network.weight.data().asnumpy().astype(np.float64)
    forward = Forward(network, MEAN, STD, [mx.cpu()], COLUMNS)
    targets = random_targets(maybe_share=0.2)
    for seed in range(3):
        mixing = draw_mixing(loss, 7, 6, np.random.default_rng(seed))
        logits = forward.logits(mx.nd.array(images, dtype="uint8"), mixing)
        actual = losses_of(logits.asnumpy(), mix_targets(targets, mixing), COLUMNS)
        share = mixing.weights.astype(np.float64).mean()
        for row, partner in enumerate(mixing.partners):
            answer = weight @ naive_view(images[row], images[partner], mixing.weights)
            own, other = (naive_loss(answer, targets[at]) for at in (row, partner))
            assert actual[row] == pytest.approx(share * own + (1 - share) * other, rel=1e-4)


def test_correct_rows_are_counted_within_the_head_of_the_largest_target() -> None:
    for seed in range(20):
        logits = np.random.default_rng(seed).normal(size=(7, 9))
        targets = random_targets(seed, maybe_share=0.2)
        expected = 0
        for row in range(7):
            wanted = max(range(9), key=lambda at: targets[row, at])
            part = next(part for part in COLUMNS if part.start <= wanted < part.stop)
            largest = max(range(part.start, part.stop), key=lambda at: logits[row, at])
            expected += largest == wanted
        assert count_correct(logits, targets, COLUMNS) == expected


def test_a_mixed_row_is_correct_when_the_larger_share_is_found() -> None:
    targets = np.array([[0.4, 0, 0, 0.6, 0, 0, 0, 0, 0], [0.7, 0.3, 0, 0, 0, 0, 0, 0, 0]])
    logits = np.zeros((2, 9))
    logits[0, [1, 3]], logits[1, [1, 8]] = [9, 1], [2, 9]
    assert count_correct(logits, targets, COLUMNS) == 1
