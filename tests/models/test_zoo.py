"""Networks by name, and weights that fit or are refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from fashionai.errors import FashionAIError
from fashionai.frameworks.mxnet import import_gluoncv, import_mxnet
from fashionai.models.forward import Forward
from fashionai.models.networks.small import TiledConv2D
from fashionai.models.views import softmax
from fashionai.models.zoo import build_network, load_parameters, network_names, output_names

mx = import_mxnet()
vision = mx.gluon.model_zoo.vision
gluoncv_zoo = import_gluoncv().model_zoo


def imagenet_file(folder: Path, classes: int = 1000) -> tuple[Path, dict[str, np.ndarray]]:
    """Parameters of the stock network with so many classes, and their values."""
    network = vision.mobilenet0_25(classes=classes)
    network.initialize(mx.init.Normal(0.1))
    network(mx.nd.zeros((1, 3, 32, 32)))
    file = folder / "mobilenet.params"
    network.save_parameters(str(file))
    return file, values(network)


def values(network) -> dict[str, np.ndarray]:
    return {n: p.data().asnumpy() for n, p in network._collect_params_with_prefix().items()}


def test_names_are_classifiers_of_both_zoos_and_ours() -> None:
    names = set(network_names())
    assert {"resnet50_v2", "densenet161", "resnet50_v1b", "cifar_resnet20_v2", "small_cnn"} <= names
    assert not [name for name in names if name.startswith(("ssd", "yolo", "faster_rcnn", "i3d"))]


@pytest.mark.parametrize(
    ("name", "get_model"),
    [
        ("resnet18_v2", vision.get_model),
        ("mobilenetv2_0.25", vision.get_model),
        ("cifar_resnet20_v1", gluoncv_zoo.get_model),
    ],
)
def test_parameters_load_into_the_stock_network(name: str, get_model, tmp_path: Path) -> None:
    """What is saved is the zoo's own network: same names, same output."""
    network = build_network(name, 7, 64)
    network.save_parameters(str(tmp_path / "ours.params"))
    stock = get_model(name, classes=7)
    stock.load_parameters(str(tmp_path / "ours.params"))
    batch = mx.nd.random.uniform(shape=(2, 3, 64, 64))
    np.testing.assert_allclose(stock(batch).asnumpy(), network(batch).asnumpy(), atol=1e-6)
    assert network(batch).shape == (2, 7)


def test_pretrained_weights_replace_all_but_the_output(tmp_path: Path) -> None:
    file, expected = imagenet_file(tmp_path)
    mx.random.seed(0)
    actual = values(build_network("mobilenet0.25", 6, 64, file))
    output = [name for name in actual if actual[name].shape != expected[name].shape]
    assert sorted(output) == ["output.bias", "output.weight"]
    for name in actual.keys() - set(output):
        np.testing.assert_array_equal(actual[name], expected[name])
    # Xavier, uniform: magnitude sqrt(3 / mean of fan in and fan out).
    limit = np.sqrt(3 / ((256 + 6) / 2))
    weights = actual["output.weight"]
    assert 0.9 * limit < np.abs(weights).max() <= limit
    assert not actual["output.bias"].any()


@pytest.mark.parametrize(
    ("name", "is_zero"),
    [("resnet18_v2", True), ("mobilenetv2_0.25", True), ("squeezenet1.1", False)],
)
def test_a_new_output_layer_can_start_at_zero_unless_it_ends_with_relu(
    name: str, is_zero: bool
) -> None:
    """There the gradient would be zero, too."""
    network = build_network(name, 6, 64, zero_output=True)
    found, output = values(network), output_names(network)
    weights = [key for key in found if key.endswith("weight")]
    assert [key for key in weights if not found[key].any()] == [
        key for key in weights if is_zero and key in output
    ]


def test_pretrained_weights_with_the_same_classes_replace_a_zero_output(tmp_path: Path) -> None:
    file = tmp_path / "begun.params"
    build_network("mobilenet0.25", 6, 64).save_parameters(str(file))
    found = values(build_network("mobilenet0.25", 6, 64, file, zero_output=True))
    for key, expected in mx.nd.load(str(file)).items():
        assert np.array_equal(found[key], expected.asnumpy())


def test_weights_of_the_same_classes_keep_their_output(tmp_path: Path) -> None:
    file, expected = imagenet_file(tmp_path, classes=6)
    actual = values(build_network("mobilenet0.25", 6, 64, file))
    assert all(np.array_equal(actual[name], expected[name]) for name in expected)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda w: w.pop("features.0.weight"), "parameters not found: features.0.weight"),
        (lambda w: w.update(stranger=mx.nd.ones(3)), "unknown parameters: stranger"),
        (
            lambda w: w.update({"features.0.weight": mx.nd.ones((8, 3, 5, 5))}),
            r"features.0.weight has shape \(8, 3, 5, 5\), expected \(8, 3, 3, 3\)",
        ),
    ],
)
def test_weights_that_do_not_fit_are_named(tmp_path: Path, change, message: str) -> None:
    file, _ = imagenet_file(tmp_path)
    weights = mx.nd.load(str(file))
    change(weights)
    mx.nd.save(str(file), weights)
    with pytest.raises(FashionAIError, match=message):
        build_network("mobilenet0.25", 6, 64, file)


def test_a_file_that_holds_no_weights_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "weights.params"
    file.write_bytes(b"\x00" * 64)
    network = build_network("small_cnn", 3, 28)
    for load in (
        lambda: load_parameters(network, file, [mx.cpu()]),
        lambda: build_network("small_cnn", 3, 28, file),
        lambda: build_network("small_cnn", 3, 28, tmp_path / "absent.params"),
    ):
        with pytest.raises(FashionAIError, match=r"\.params: (not a \.params file|no such file)"):
            load()


@pytest.mark.parametrize("name", ["small_cnn", "resnet18_v2"])
def test_drop_path_is_refused_where_no_branch_is_left_out(name: str) -> None:
    build_network(name, 6, 64, drop_path=0.0)
    with pytest.raises(FashionAIError) as error:
        build_network(name, 6, 64, drop_path=0.1)
    assert str(error.value) == (
        f"model.drop_path: 0.1 has no effect on {name}, which leaves out no residual branches. "
        "Set it to 0 or choose another model.name, for instance efficientnet_b0"
    )


def test_networks_name_their_layers_alike_whatever_was_built_before() -> None:
    """The state of an optimizer has the order of these names: conv10 is before conv9."""
    orders = []
    for _ in range(2):
        network = build_network("mobilenetv3_small", 2, 32)
        stored = {each.name: name for name, each in network._collect_params_with_prefix().items()}
        orders.append([stored[name] for name in sorted(network.collect_params())])
    assert orders[0] == orders[1]


def test_unknown_names_and_impossible_crops_are_errors_of_one_line() -> None:
    with pytest.raises(FashionAIError) as error:
        build_network("resnet50v2", 6, 224)
    assert str(error.value) == (
        "model.name: unknown network 'resnet50v2'. Did you mean 'resnet50_v2'?"
    )
    with pytest.raises(FashionAIError) as error:
        build_network("alexnet", 6, 32)
    assert "alexnet cannot take images of data.crop 32 pixels" in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("name", "crop"), [("squeezenet1.1", 64), ("squeezenet1.1", 448), ("densenet121", 96)]
)
def test_fixed_pools_become_means_over_the_whole_image(name: str, crop: int, tmp_path) -> None:
    """At 224 pixels the zoo's window is the whole image; elsewhere ours has to be."""
    network = build_network(name, 6, crop)
    network.save_parameters(str(tmp_path / "ours.params"))
    stock = mx.gluon.model_zoo.vision.get_model(name, classes=6)
    stock.load_parameters(str(tmp_path / "ours.params"))
    image = mx.nd.array(np.random.default_rng(0).normal(size=(1, 3, crop, crop)))
    hidden = image
    blocks = [*stock.features._children.values()]
    if name.startswith("densenet"):
        for block in blocks[:-2]:
            hidden = block(hidden)
        expected = stock.output(mx.nd.array(hidden.asnumpy().mean(axis=(2, 3)))).asnumpy()
    else:
        for block in [*blocks, *[*stock.output._children.values()][:-2]]:
            hidden = block(hidden)
        expected = hidden.asnumpy().mean(axis=(2, 3))
    np.testing.assert_allclose(network(image).asnumpy(), expected, rtol=1e-4, atol=1e-5)


def layer(inputs: int, outputs: int, side: int = 1) -> int:
    """Weights and biases of a convolution, or of a dense layer."""
    return inputs * outputs * side * side + outputs


@pytest.mark.parametrize(
    ("name", "classes", "crop", "parameters"),
    [
        # 224 -> 54 -> 26 -> 22 -> 10
        ("logos_cnn", 33, 224, layer(3, 96, 11) + layer(96, 192, 5) + layer(192 * 10 * 10, 4096)
         + layer(4096, 33)),
        # 240 -> 196 -> 90 -> 71 -> 32
        ("covers_lenet", 2, 240, layer(3, 6, 45) + layer(6, 9, 20) + layer(9 * 32 * 32, 544)
         + layer(544, 68) + layer(68, 2)),
        # 240 -> 58 -> 28 -> 28 -> 13 -> 13 -> 6
        ("covers_alexnet", 2, 240, layer(3, 96, 11) + layer(96, 256, 5) + layer(256, 384, 3)
         + layer(384, 384, 3) + layer(384, 256, 3) + layer(256 * 6 * 6, 4096) + layer(4096, 4096)
         + layer(4096, 2)),
    ],
)  # fmt: skip
def test_the_tutorials_networks_have_the_layers_they_say(
    name: str, classes: int, crop: int, parameters: int
) -> None:
    network = build_network(name, classes, crop)
    assert sum(value.size for value in values(network).values()) == parameters
    logits = network(mx.nd.random.normal(shape=(2, 3, crop, crop))).asnumpy()
    assert logits.shape == (2, classes)
    # Logits, not probabilities.
    assert not np.allclose(logits.sum(axis=1), 1, atol=1e-3)


@pytest.mark.parametrize("hybridized", [False, True])
def test_a_convolution_in_tiles_is_the_convolution(hybridized: bool) -> None:
    """In its answers and in its gradients."""
    whole = mx.gluon.nn.Conv2D(4, kernel_size=6, in_channels=3, activation="relu")
    tiled = TiledConv2D(4, kernel=6, tile=2, in_channels=3)
    image = mx.nd.random.normal(shape=(2, 3, 11, 9))
    gradients = []
    for layer_ in (whole, tiled):
        layer_.initialize(mx.init.Normal(0.3))
        for mine, same in zip(layer_.collect_params().values(), whole.collect_params().values()):
            mine.set_data(same.data() + 0.1 * (layer_ is whole))
        layer_.hybridize(hybridized)
        with mx.autograd.record():
            answer = layer_(image)
            loss = answer * answer
        loss.backward()
        gradients.append((answer.asnumpy(), layer_.weight.grad().asnumpy()))
    for found, expected in zip(gradients[1], gradients[0]):
        assert (expected != 0).any()
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


def test_small_cnn_has_the_layers_that_it_says() -> None:
    network = build_network("small_cnn", 10, 28)
    sizes = {name: value.size for name, value in values(network).items()}
    channels = [3, 32, 64, 64, 128, 128, 128]
    convolutions = sum(9 * a * b for a, b in zip(channels, channels[1:]))
    normalisation = 4 * sum(channels[1:])
    assert sum(sizes.values()) == convolutions + normalisation + 128 * 10 + 10


def test_forward_normalises_averages_views_and_drops_padding() -> None:
    network = build_network("small_cnn", 5, 28)
    mean, std = [0.1, 0.2, 0.3], [0.5, 0.6, 0.7]
    forward = Forward(network, mean, std, [mx.cpu()], [slice(0, 5)])
    rng = np.random.default_rng(0)
    batches = [rng.integers(0, 256, (n, 2, 28, 28, 3), dtype=np.uint8) for n in (4, 3)]
    actual = forward.probabilities(batches, 4)
    assert actual.shape == (7, 5)
    for row, views in enumerate(np.concatenate(batches)):
        expected = []
        for view in views:
            pixels = ((view / 255 - mean) / std).transpose(2, 0, 1)[None]
            expected.append(softmax(network(mx.nd.array(pixels)).asnumpy())[0])
        np.testing.assert_allclose(actual[row], np.mean(expected, axis=0), atol=1e-5)


def test_softmax_survives_large_logits() -> None:
    answer = softmax(np.array([[1000.0, 0.0], [0.0, np.log(3.0)]]))
    np.testing.assert_allclose(answer, [[1, 0], [0.25, 0.75]], atol=1e-12)


@pytest.mark.parametrize("name", ["resnet18_v2", "cifar_resnet20_v2"])
def test_the_input_is_normalised_in_training_as_in_evaluation(name: str) -> None:
    """An image of another contrast than its batch would else look otherwise later."""
    network = build_network(name, 3, 32)
    network.hybridize()
    rng = np.random.default_rng(0)
    images = mx.nd.array(3 + 5 * rng.random((8, 3, 32, 32)))
    first = next(iter(network.features._children.values()))
    with mx.autograd.record():
        trained = first(images)
        network(images).sum().backward()
    np.testing.assert_allclose(trained.asnumpy(), first(images).asnumpy(), rtol=1e-5)
    np.testing.assert_allclose(trained.asnumpy(), images.asnumpy(), rtol=1e-4)


@pytest.mark.parametrize("name", ["resnest26", "resnest50"])
def test_no_block_is_dropped_after_training(name: str) -> None:
    """A hybridized network that was traced in training predicts as one that was not."""
    mx.random.seed(0)
    network = build_network(name, 3, 64)
    network.hybridize()
    images = mx.nd.random.normal(shape=(2, 3, 64, 64))
    with mx.autograd.record():
        network(images).backward()
    first, second = network(images).asnumpy(), network(images).asnumpy()
    np.testing.assert_array_equal(first, second)
    network.hybridize(False)
    np.testing.assert_allclose(first, network(images).asnumpy(), atol=1e-5 * np.abs(first).max())


def test_a_larger_image_counts_to_its_border() -> None:
    """The zoo's window of 13 would leave out two rows and columns of the map of 256 pixels."""
    network = build_network("squeezenet1.1", 3, 256)
    image = mx.nd.random.uniform(shape=(1, 3, 256, 256))
    convolved = network.features(image)
    for layer in list(network.output._children.values())[:2]:
        convolved = layer(convolved)
    assert convolved.shape == (1, 3, 15, 15)
    expected = convolved.asnumpy().mean(axis=(2, 3))
    np.testing.assert_allclose(network(image).asnumpy(), expected, rtol=1e-4, atol=1e-7)
