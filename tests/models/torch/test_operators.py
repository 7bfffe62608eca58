"""Each operator against MXNet: output, gradients and running statistics."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from fashionai.errors import ConfigError
from fashionai.frameworks.mxnet import import_mxnet
from fashionai.models.merging import merge_operators
from fashionai.models.networks.blocks import relu6
from tests.support.graphs import by_mxnet, by_torch, description_of, random_values, weights_of

torch = pytest.importorskip("torch")
GraphNetwork = pytest.importorskip("fashionai.models.torch.network").GraphNetwork
mx = import_mxnet()
S = mx.sym
X = S.var("data")

IMAGES = (2, 4, 7, 9)


def check(symbol, shape=IMAGES, *, training: bool = True, tolerance: float = 2e-6) -> None:
    data = np.random.default_rng(0).normal(0.3, 1.5, shape).astype(np.float32)
    values = random_values(symbol, shape)
    expected = by_mxnet(symbol, values, data, training=training)
    actual = by_torch(description_of(symbol, values), data, training=training)
    assert actual.output.shape == expected.output.shape
    for ours, theirs in (
        (actual.gradients, expected.gradients),
        (actual.statistics, expected.statistics),
    ):
        assert ours.keys() == theirs.keys()
    pairs = [(actual.output, expected.output)]
    pairs += [(actual.gradients[name], each) for name, each in expected.gradients.items()]
    pairs += [(actual.statistics[name], each) for name, each in expected.statistics.items()]
    for ours, theirs in pairs:
        assert np.isfinite(theirs).all()
        largest = max(np.abs(theirs).max(), 1e-3)
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=tolerance * largest)


@pytest.mark.parametrize(
    "options",
    [
        {"kernel": (3, 2), "stride": (2, 1), "pad": (0, 1)},
        {"kernel": (3, 1), "dilate": (2, 1), "pad": (1, 0), "no_bias": True},
        {"kernel": (2, 3), "num_group": 2, "stride": (1, 3)},
        {"kernel": (3, 3), "num_group": 4, "pad": (2, 0)},
    ],
)
def test_convolution(options) -> None:
    check(S.Convolution(X, num_filter=8, **options))


def test_convolution_of_one_and_three_dimensions() -> None:
    check(S.Convolution(X, num_filter=3, kernel=(3,), stride=(2,), pad=(1,)), (2, 4, 9))
    check(S.Convolution(X, num_filter=3, kernel=(3, 1, 2), pad=(1, 0, 1)), (2, 4, 5, 3, 6))


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
@pytest.mark.parametrize("symbol", [relu6(S, X), S.clip(X, 0, 6), S.clip(X, -1, 6)])
def test_gradients_at_the_ends_of_a_clip(symbol, dtype) -> None:
    """All values are exact in half precision."""
    values = [0.0, -0.0, 6.0, -1.0, -1 / 128, 6.0625, 1.0, 7.0, -7.0]
    data = np.array(values, np.float32).reshape(1, 9, 1, 1)
    expected = by_mxnet(symbol, {}, data)
    description = description_of(symbol, {})
    merged = merge_operators(description.nodes, mark_relus=True)
    graph = GraphNetwork(dataclasses.replace(description, nodes=merged)).train()
    inputs = torch.tensor(data, dtype=getattr(torch, dtype), requires_grad=True)
    output = graph(inputs)
    output.backward(torch.tensor(weights_of(output.shape), dtype=output.dtype))
    np.testing.assert_array_equal(output.detach().float().numpy(), expected.output)
    np.testing.assert_allclose(inputs.grad.float().numpy(), expected.gradients["data"], rtol=1e-2)


def test_only_what_computes_the_same_is_merged() -> None:
    factors = S.mean(X, axis=(2, 3), keepdims=True)
    for symbol in (
        S.clip(S.Activation(X, act_type="relu"), 1, 6),
        S.clip(S.Activation(X, act_type="tanh"), 0, 6),
        S.exp(X) * S.broadcast_like(factors, X),
        X * S.exp(X),
    ):
        nodes = description_of(symbol, {}).nodes
        assert merge_operators(nodes, mark_relus=True) == nodes


def test_transposed_convolution() -> None:
    options = {"kernel": (3, 2), "stride": (2, 3), "pad": (1, 0), "adj": (1, 2)}
    check(S.Deconvolution(X, num_filter=6, num_group=2, no_bias=False, **options))


def test_dense_layers() -> None:
    check(S.FullyConnected(X, num_hidden=3))
    check(S.FullyConnected(X, num_hidden=3, no_bias=True, flatten=False))


@pytest.mark.parametrize("shape", [(3, 4, 5, 2), (6, 4), (3, 4, 5)])
@pytest.mark.parametrize("fix_gamma", [True, False])
@pytest.mark.parametrize("training", [True, False])
def test_batch_normalisation(shape, fix_gamma: bool, training: bool) -> None:
    symbol = S.BatchNorm(X, fix_gamma=fix_gamma, eps=0.01, momentum=0.8)
    check(symbol, shape, training=training, tolerance=1e-5)


@pytest.mark.parametrize("fix_gamma", [True, False])
def test_batch_normalisation_by_running_statistics(fix_gamma: bool) -> None:
    check(S.BatchNorm(X, fix_gamma=fix_gamma, use_global_stats=True), tolerance=1e-5)


def test_batch_normalisation_with_defaults_and_of_another_axis() -> None:
    check(S.BatchNorm(X), tolerance=1e-5)
    check(S.BatchNorm(X, axis=3, fix_gamma=False), tolerance=1e-5)


def test_batch_normalisation_of_one_value_per_channel() -> None:
    check(S.BatchNorm(X, fix_gamma=False), (1, 4, 1, 1))


@pytest.mark.parametrize("convention", ["valid", "full"])
@pytest.mark.parametrize(
    ("kernel", "stride", "pad"),
    [
        ((3, 2), (2, 3), (1, 0)),
        ((3, 3), (2, 2), (1, 1)),
        ((2, 2), (2, 2), (0, 0)),
        ((3, 3), (2, 2), (2, 2)),  # more padding than PyTorch takes
        ((5, 4), (3, 3), (0, 1)),
        ((2, 2), (1, 1), (1, 0)),
    ],
)
@pytest.mark.parametrize(
    "kind",
    [
        {"pool_type": "max"},
        {"pool_type": "sum"},
        {"pool_type": "avg"},
        {"pool_type": "avg", "count_include_pad": False},
    ],
)
def test_pooling(kind, kernel, stride, pad, convention: str) -> None:
    options = {"kernel": kernel, "stride": stride, "pad": pad, **kind}
    check(S.Pooling(X, pooling_convention=convention, **options))


@pytest.mark.parametrize("kind", ["max", "avg", "sum"])
def test_global_pooling(kind: str) -> None:
    check(S.Pooling(X, pool_type=kind, global_pool=True, kernel=(2, 2), pad=(1, 1)))


@pytest.mark.parametrize("size", [1, 3, (2, 5), (7, 9)])
def test_adaptive_pooling(size) -> None:
    check(S.contrib.AdaptiveAvgPooling2D(X, output_size=size))


def test_adaptive_pooling_to_one_value_by_default() -> None:
    check(S.contrib.AdaptiveAvgPooling2D(X))


@pytest.mark.parametrize(
    "options",
    [
        {"height": 13, "width": 5},
        {"height": 13, "width": 5, "align_corners": False},
        {"scale_height": 1.5, "scale_width": 0.6},
        {"height": 1, "width": 1},
        {"height": 7, "width": 9},
    ],
)
def test_bilinear_resizing(options) -> None:
    check(S.contrib.BilinearResize2D(X, **options), tolerance=1e-5)


def test_bilinear_resizing_to_the_size_of_another() -> None:
    smaller = S.Pooling(X, kernel=(2, 2), stride=(2, 2), pool_type="avg")
    check(S.contrib.BilinearResize2D(smaller, X, mode="like"), tolerance=1e-5)


@pytest.mark.parametrize("kind", ["relu", "sigmoid", "tanh", "softrelu", "softsign"])
def test_activations(kind: str) -> None:
    check(S.Activation(X, act_type=kind))


@pytest.mark.parametrize(
    "options",
    [
        {"act_type": "leaky"},
        {"act_type": "leaky", "slope": 0.1},
        {"act_type": "elu", "slope": 0.7},
        {"act_type": "gelu"},
        {"act_type": "prelu"},
    ],
)
def test_leaky_activations(options) -> None:
    check(S.LeakyReLU(X, **options))


def test_selu() -> None:
    # MXNet 1.9.1's gradient is not that of its output.
    check(S.LeakyReLU(X, act_type="selu"), training=False)


def test_random_slopes_are_the_mean_in_evaluation() -> None:
    symbol = S.LeakyReLU(X, act_type="rrelu", lower_bound=0.1, upper_bound=0.5)
    check(symbol, training=False)


@pytest.mark.parametrize(
    "shape",
    [
        (0, 0, -1),
        (0, -3, -2),
        (-3, -3),
        (0, -4, 2, -1, -2),
        (0, -4, -1, 2, 0, 9),
        (-1, 2, 7, 9),
        (0, 2, -1, 1, 1),
        (-2,),
    ],
)
def test_reshape(shape) -> None:
    check(S.reshape(X, shape=shape))


@pytest.mark.parametrize("shape", [(-1, 0), (-1, 0, 0), (8, 0, 0)])
def test_reshape_from_the_end(shape) -> None:
    check(S.reshape(X, shape=shape, reverse=True))


@pytest.mark.parametrize(
    "options",
    [
        {"begin": (None, 1, -4), "end": (None, None, -1)},
        {"begin": (0, 0, 0, 2), "end": (1, 4, -2, None)},
        {"begin": (None, None, 1), "end": (None, None, 6), "step": (None, None, 2)},
        {"begin": (None, 3), "end": (None, 0), "step": (1, -1)},
        {"begin": (None,) * 4, "end": (None,) * 4, "step": (None, None, -1, -1)},
        {"begin": (None, None, -2, 8), "end": (None, None, -7, 1), "step": (None, None, -2, -3)},
    ],
)
def test_slice(options) -> None:
    check(S.slice(X, **options))


@pytest.mark.parametrize("options", [(1, 1, 3), (-1, -4, None), (2, 0, -2)])
def test_slice_of_one_axis(options) -> None:
    axis, begin, end = options
    check(S.slice_axis(X, axis=axis, begin=begin, end=end))


@pytest.mark.parametrize("squeeze", [False, True])
def test_parts_of_an_axis(squeeze: bool) -> None:
    parts = S.split(X, num_outputs=4, axis=1, squeeze_axis=squeeze)
    check(parts[2] - parts[0])


@pytest.mark.parametrize(
    "options",
    [
        {"mode": "constant", "constant_value": 2.5, "pad_width": (0, 0, 1, 2, 3, 0, 0, 4)},
        {"mode": "edge", "pad_width": (0, 0, 0, 0, 3, 1, 0, 2)},
        {"mode": "reflect", "pad_width": (0, 0, 0, 0, 3, 1, 0, 2)},
    ],
)
def test_padding(options) -> None:
    if options["mode"] == "constant":
        options = {**options, "pad_width": (0, 0, 0, 0, 3, 0, 0, 4)}
    check(S.Pad(X, **options))


@pytest.mark.parametrize("kind", ["sum", "mean", "max", "min"])
@pytest.mark.parametrize(
    "options",
    [{}, {"axis": 1}, {"axis": (-1, 2), "keepdims": True}, {"axis": 1, "exclude": True}],
)
def test_reductions(kind: str, options) -> None:
    check(getattr(S, kind)(X, **options))


@pytest.mark.parametrize(
    "options", [{}, {"axis": 1}, {"axis": 2, "temperature": 0.3}, {"axis": -2}]
)
@pytest.mark.parametrize("kind", ["softmax", "log_softmax"])
def test_softmax(kind: str, options) -> None:
    check(getattr(S, kind)(X, **options), tolerance=1e-5)


@pytest.mark.parametrize(
    "make",
    [
        lambda: S.flatten(X) * 2,
        lambda: S.swapaxes(X, dim1=1, dim2=3),
        lambda: S.transpose(X),
        lambda: S.transpose(X, axes=(0, 2, 3, 1)),
        lambda: S.expand_dims(X, axis=-1) + 1,
        lambda: S.expand_dims(X, axis=2) / 3,
        lambda: S.squeeze(S.sum(X, axis=(1, 3), keepdims=True)),
        lambda: S.squeeze(S.sum(X, axis=(1, 3), keepdims=True), axis=3),
        lambda: S.concat(X, X * 3, dim=2),
        lambda: S.concat(X, X * 3),
        lambda: S.stack(X, X * 3, axis=1),
        lambda: S.clip(X, -0.5, 1),
        lambda: 3 - X,
        lambda: 3 / (X + 20),
        lambda: (X - 1) ** 2,
        lambda: 2**X,
        lambda: S.broadcast_mul(X, S.mean(X, axis=(2, 3), keepdims=True)),
        lambda: S.broadcast_sub(X, S.mean(X, axis=1, keepdims=True)),
        lambda: S.broadcast_div(X, S.sum(S.square(X), axis=1, keepdims=True)),
        lambda: S.broadcast_maximum(X, S.mean(X, axis=1, keepdims=True)),
        lambda: S.broadcast_minimum(X, S.mean(X, axis=1, keepdims=True)),
        lambda: X * S.sigmoid(X) - S.tanh(X),
        lambda: X / (1 + S.exp(-X)),
        lambda: S.sqrt(S.abs(X)) * S.log(S.square(X) + 1),
        lambda: S.rsqrt(S.square(X) + 1) + S.erf(X),
        lambda: (1 + S.ones_like(X)) * X + S.zeros_like(X),
        lambda: S.BlockGrad(X) * X + S.identity(X),
        lambda: S.hard_sigmoid(X, alpha=0.3, beta=0.4),
        lambda: S.relu(X) - S.negative(S.softsign(X)),
        lambda: S.contrib.div_sqrt_dim(X),
    ],
)
def test_arithmetic_and_shapes(make) -> None:
    check(make())


@pytest.mark.parametrize("flip", [(False, True), (True, False)])
def test_products_of_matrices(flip) -> None:
    first, second = flip
    check(S.batch_dot(X, X * 2 + 1, transpose_a=first, transpose_b=second), (3, 4, 5))


@pytest.mark.parametrize("axis", [-1, 1])
def test_layer_normalisation(axis: int) -> None:
    check(S.LayerNorm(X, axis=axis, eps=1e-3), tolerance=1e-5)


def test_instance_normalisation() -> None:
    check(S.InstanceNorm(X), tolerance=1e-5)


def test_dropout_does_nothing_in_evaluation() -> None:
    check(S.Dropout(X, p=0.7), training=False)


@pytest.mark.parametrize("axes", [(), (2, 3)])
def test_dropout_keeps_the_mean(axes) -> None:
    shape = (8, 500, 4, 4)
    data = np.ones(shape, np.float32)
    for options in ({}, {"p": 0.3}, {"p": 0.3, "mode": "always"}):
        symbol = S.Dropout(X, axes=axes, **options)
        training = "mode" not in options
        output = by_torch(description_of(symbol, {}), data, training=training).output
        kept = 1 - options.get("p", 0.5)
        assert set(np.unique(output)) == {np.float32(0), np.float32(1 / kept)}
        assert abs((output > 0).mean() - kept) < 0.05
        equal = (output == output[:, :, :1, :1]).all()
        assert equal == bool(axes)


def test_dropout_leaves_out_whole_images() -> None:
    """As stochastic depth does."""
    data = np.ones((4000, 3, 2, 2), np.float32)
    symbol = S.Dropout(X, p=0.25, axes=(1, 2, 3))
    output = by_torch(description_of(symbol, {}), data, training=True).output
    assert (output == output[:, :1, :1, :1]).all()
    assert set(np.unique(output)) == {np.float32(0), np.float32(1 / 0.75)}
    assert abs((output > 0).mean() - 0.75) < 0.03


@pytest.mark.parametrize(
    ("make", "named"),
    [
        (
            lambda: S.L2Normalization(X, name="scale"),
            "operator L2Normalization of this network .*node scale",
        ),
        (
            lambda: S.Pooling(X, kernel=(2, 2), pool_type="lp", p_value=2, name="root"),
            "operator Pooling with pool_type=lp .*node root",
        ),
        (
            lambda: S.contrib.BilinearResize2D(X, mode="to_even_up", name="even"),
            "BilinearResize2D with mode=to_even_up .*node even",
        ),
    ],
)
def test_what_is_missing_is_named(make, named: str) -> None:
    with pytest.raises(ConfigError, match=f"{named}.*engine=gluon"):
        by_torch(description_of(make(), {}), np.zeros(IMAGES, np.float32))
