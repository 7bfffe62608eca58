"""What is recommended for the images, the machine and the time, and the text that it becomes."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Optional

import numpy as np
import pytest

from fashionai.config import Config, load_config, with_overrides
from fashionai.errors import ConfigError
from fashionai.models.catalogue import find_network
from fashionai.starter.plans import Machine, Plan, fit_time
from fashionai.starter.recipes import HEAD_FIRST, SCRATCH, WHOLE
from fashionai.starter.survey import Survey
from fashionai.starter.text import starter_tree
from fashionai.starter.wishes import Wishes
from fashionai.starter.write import plan_starter
from fashionai.tasks import Task
from fashionai.training.speed.estimate import Speed, training_seconds
from fashionai.weights.availability import NOTHING, Obtainable

CLASSES = ("owl", "robin", "tit")
BIRDS = Task("birds", (), CLASSES, "table")


HERE = Obtainable(
    tuple(map(find_network, ("resnet50_v2", "mobilenetv2_1.0", "resnet18_v2"))),
    "its weights are on this machine",
)
CPU, GPU = Machine(False, HERE), Machine(True, HERE)
FIRST = {"head": 0.3, "all": 0.7}


def chosen(
    folder: Path,
    short_side: int,
    *counts: int,
    task: Task = BIRDS,
    machine: Machine = CPU,
    overrides: tuple[str, ...] = (),
    val_images: int = 10,
) -> Config:
    """The configuration for so many training images of each class of that size."""
    path = folder / "birds.yaml"
    survey = Survey(task, np.array(counts), val_images, short_side, 20)
    wishes = Wishes(overrides)
    starter = plan_starter(survey, machine, Path("data/train_valid"), path, wishes)
    path.write_text(starter.text)
    assert max(map(len, path.read_text().replace(str(folder), "configs").splitlines())) <= 100
    config = load_config(path, (), [task])
    assert config == Config.model_validate(starter.tree)
    return config


@pytest.mark.parametrize(
    ("machine", "short_side", "images", "network", "crop", "trainable"),
    [
        (CPU, 8, 300, "small_cnn", 8, "all"),
        (CPU, 30, 300, "small_cnn", 28, "all"),
        (GPU, 64, 90_000, "small_cnn", 64, "all"),
        # Of the networks at hand the most accurate one, of at most 2 or 6 billion operations.
        (GPU, 65, 90_000, "mobilenetv2_1.0", 64, "all"),
        (CPU, 160, 1_500, "mobilenetv2_1.0", 160, FIRST),
        (CPU, 161, 300, "mobilenetv2_1.0", 224, FIRST),
        (GPU, 161, 300, "mobilenetv2_1.0", 224, FIRST),
        (CPU, 512, 2_001, "mobilenetv2_1.0", 224, "all"),
        (GPU, 512, 2_001, "resnet50_v2", 224, "all"),
    ],
)
def test_network_input_and_layers_follow_images_and_machine(
    tmp_path: Path,
    machine: Machine,
    short_side: int,
    images: int,
    network: str,
    crop: int,
    trainable: Any,
) -> None:
    config = chosen(tmp_path, short_side, *[images // 3] * 3, machine=machine)
    assert (config.model.name, config.data.crop, config.trainable) == (network, crop, trainable)
    assert config.model.pretrained is (network != "small_cnn")
    # The random crop has about an eighth of the side to move in, if only a pixel.
    assert 1 <= config.data.short_side - crop <= 32
    assert config.data.short_side >= crop * 9 // 8


def test_without_any_weights_the_configuration_still_runs(tmp_path: Path) -> None:
    config = chosen(tmp_path, 200, 9, 9, 9, machine=Machine(False, NOTHING))
    assert config.model.pretrained is False
    assert config.trainable == "all"
    text = (tmp_path / "birds.yaml").read_text()
    assert "# there are no pretrained weights of any network here" in text


def test_a_network_that_was_asked_for_is_taken(tmp_path: Path) -> None:
    only = Machine(False, HERE._replace(networks=(find_network("resnet50_v2"),)))
    for given, pretrained in (("resnet50_v2", True), ("senet_154e", False)):
        config = chosen(tmp_path, 300, 9, 9, 9, machine=only, overrides=(f"model.name={given}",))
        assert (config.model.name, config.model.pretrained) == (given, pretrained)


def test_overrides_reach_the_file_and_are_marked(tmp_path: Path) -> None:
    overrides = ("optimizer.lr=0.5", "data.workers=2", "data.augment=[mirror]", "ema=0.9")
    config = chosen(tmp_path, 300, 9, 9, 9, overrides=overrides)
    assert (config.optimizer.lr, config.optimizer.momentum) == (0.5, 0.9)
    assert (config.data.workers, len(config.data.augment), config.ema) == (2, 1, 0.9)
    text = (tmp_path / "birds.yaml").read_text()
    assert text.count("# as given to fashionai init\n") == 4
    assert "# The learning rate is" not in text
    with pytest.raises(ConfigError, match=r"epochz: unknown key\. Did you mean 'epochs'"):
        chosen(tmp_path, 300, 9, 9, 9, overrides=("epochz=2",))


def text_of(folder: Path) -> str:
    return (folder / "birds.yaml").read_text()


@pytest.mark.parametrize(
    ("overrides", "rate"),
    [
        (("batch_size=16",), 0.1 * 16 / 128),
        (("batch_size=16", "accumulate=4"), 0.1 * 64 / 128),
        (("batch_size=16", "optimizer.name=nag", "optimizer.weight_decay=0"), 0.1 * 16 / 128),
        (("batch_size=16", "optimizer.lr=0.3"), 0.3),
        (("batch_size=16", "optimizer={name: sgd, lr: 0.3}"), 0.3),
    ],
)
def test_the_learning_rate_follows_the_batch_size_that_is_given(
    tmp_path: Path, overrides: tuple[str, ...], rate: float
) -> None:
    config = chosen(tmp_path, 30, 900, 900, 900, overrides=overrides)
    assert (config.batch_size, config.optimizer.lr) == (16, pytest.approx(rate))
    assert ("# The learning rate is 0.1 for a batch size" in text_of(tmp_path)) is (rate != 0.3)


def test_the_recipe_decides_the_images_of_an_update(tmp_path: Path) -> None:
    usual = chosen(tmp_path, 30, 900, 900, 900)
    config = chosen(tmp_path, 30, 900, 900, 900, overrides=("accumulate=4",))
    assert config.batch_size * config.accumulate == usual.batch_size == 128
    assert config.optimizer.lr == pytest.approx(usual.optimizer.lr)
    assert "# Per device: 32, halved until" in text_of(tmp_path)


def test_an_optimizer_of_another_kind_does_not_get_the_rate_of_sgd(tmp_path: Path) -> None:
    default = Config(task="skirt").optimizer
    for short_side, name in ((30, "adam"), (300, "sgd")):  # instead of SGD and AdamW
        config = chosen(tmp_path, short_side, 9, 9, 9, overrides=(f"optimizer.name={name}",))
        assert config.optimizer == default.model_copy(update={"name": name})
        assert f"# No learning rate of {name} is known" in text_of(tmp_path)


@pytest.mark.parametrize("short_side", [30, 200])
def test_without_pretrained_weights_every_layer_learns_from_random_ones(
    tmp_path: Path, short_side: int
) -> None:
    without = Machine(False, NOTHING)
    expected = chosen(tmp_path, short_side, 9, 9, 9, machine=without)
    config = chosen(tmp_path, short_side, 9, 9, 9, overrides=("model.pretrained=false",))
    assert config == expected
    assert config.trainable == "all"
    assert "on this machine" not in text_of(tmp_path)
    both = ("model.name=resnet18_v2", "model.pretrained=false")
    config = chosen(tmp_path, short_side, 9, 9, 9, overrides=both)
    assert config.optimizer == expected.optimizer
    assert "weights of it" not in text_of(tmp_path)


@pytest.mark.parametrize("value", ["true", "mine.params"])
def test_pretrained_weights_that_are_asked_for_are_fine_tuned(tmp_path: Path, value: str) -> None:
    usual = chosen(tmp_path, 300, 9, 9, 9)
    of_a_network = ("model.name=senet_154e", Machine(False, NOTHING))
    places = [of_a_network] if value == "mine.params" else [("log=[]", CPU), of_a_network]
    for override, machine in places:
        overrides = (f"model.pretrained={value}", override)
        config = chosen(tmp_path, 30, 9, 9, 9, machine=machine, overrides=overrides)
        assert str(config.model.pretrained).lower() == value
        assert config.model.name != "small_cnn"
        assert (config.optimizer, config.trainable) == (usual.optimizer, usual.trainable)
        assert "random" not in text_of(tmp_path).partition("data:")[0]


def test_the_recipe_is_that_of_the_layers_that_are_asked_for(tmp_path: Path) -> None:
    config = chosen(tmp_path, 300, 100, 100, 100, overrides=("trainable=head",))
    # docs/training.md, "Frozen layers"
    assert (config.optimizer.name, config.optimizer.lr, config.data.augment) == ("adamw", 0.002, [])
    assert config.epochs == 40
    usual = chosen(tmp_path, 300, 100, 100, 100)
    config = chosen(tmp_path, 300, 100, 100, 100, overrides=("trainable=all",))
    assert config == usual.changed({"trainable": "all"})
    config = chosen(tmp_path, 300, 100, 100, 100, overrides=("trainable={head: 2, all: 5}",))
    assert config.epochs == 7
    assert re.search(r"epochs: 7 +# those of trainable\n", text_of(tmp_path))


def test_a_larger_crop_that_is_given_gets_a_smaller_batch(tmp_path: Path) -> None:
    usual = chosen(tmp_path, 512, *[30_000] * 3, machine=GPU)
    config = chosen(tmp_path, 512, *[30_000] * 3, machine=GPU, overrides=("data.crop=448",))
    # Four times as many pixels in the same memory.
    assert (config.data.crop, config.batch_size) == (448, usual.batch_size / 4)
    assert config.optimizer.lr == pytest.approx(usual.optimizer.lr / 4)


def test_what_does_not_go_with_an_override_is_left_out(tmp_path: Path) -> None:
    assert chosen(tmp_path, 30, 90, 9, 9).monitor == "last"
    overrides = ("early_stopping.patience=3", "data.sampler=balanced")
    config = chosen(tmp_path, 30, 90, 9, 9, overrides=overrides)
    assert (config.monitor, config.loss.class_weights) == ("map", "none")
    assert "# data.sampler balances the classes\n" in text_of(tmp_path)


@pytest.mark.parametrize(
    "override",
    [
        *("batch_size=many", "data.crop=[8]", "model.name=5", "epochs=-1", "trainable={a: b}"),
        "model.pretrained=mine.params",  # without the name of its network
    ],
)
def test_wrong_values_are_refused_with_their_key(tmp_path: Path, override: str) -> None:
    with pytest.raises(ConfigError, match=override.partition("=")[0].replace(".", r"\.")):
        chosen(tmp_path, 300, 9, 9, 9, overrides=(override,))


def test_few_validation_images_recommend_cross_validation(tmp_path: Path) -> None:
    for images, is_told in ((99, True), (100, False)):
        config = chosen(tmp_path, 30, 9, 9, 9, val_images=images)
        text = (tmp_path / "birds.yaml").read_text()
        assert ("# With 99 validation images an accuracy of 0.8 has a standard" in text) is is_told
        assert (config.monitor == "last") is is_told


# Seconds per image of steps and forward passes at 224 pixels.
SPEEDS = {"resnet50_v2": (1.0, 0.3), "mobilenetv2_1.0": (0.4, 0.1), "resnet18_v2": (0.4, 0.15)}


@pytest.mark.parametrize(
    ("seconds", "network", "trainable", "crop", "epochs"),
    [
        # 900 images and 100 for validation: 4 views of features and 8 epochs of all layers take
        # (3,600 + 100) * 0.3 + 4 * 0.5 + 8 * (900 + 30) s.
        (8_553, "resnet50_v2", FIRST, 224, 12),
        (8_551, "resnet50_v2", FIRST, 224, 11),
        # Of MobileNetV2 (3,600 + 100) * 0.1 + 4 * 0.5 + 8 * (360 + 10) s; at least 2 views and 6
        # epochs of all layers.
        (3_333, "mobilenetv2_1.0", FIRST, 224, 12),
        (2_412, "mobilenetv2_1.0", FIRST, 224, 8),
        # 1,000 forward passes, and up to 40 epochs of 0.5 s.
        (400, "resnet50_v2", "head", 224, 40),
        (121, "mobilenetv2_1.0", "head", 224, 40),
        (115, "mobilenetv2_1.0", "head", 224, 30),
        # At 160 pixels the passes take half the time.
        (72, "mobilenetv2_1.0", "head", 160, 40),
        (20, "mobilenetv2_1.0", "head", 128, 20),
    ],
)
def test_the_plan_fits_the_time(
    seconds: float, network: str, trainable: Any, crop: int, epochs: int
) -> None:
    plan, _ = plan_within(seconds)
    assert (plan.network, plan.recipe.trainable, plan.crop) == (network, trainable, crop)
    assert plan.epochs == pytest.approx(epochs, abs=0 if trainable == FIRST else 1)
    if seconds > 40:
        assert plan.seconds is not None
        assert plan.seconds <= seconds


@pytest.mark.parametrize(
    ("seconds", "network", "trainable", "epochs"),
    [
        # 2,700 images and 300 for validation: an epoch takes 2,700 + 300 * 0.3 s, at least ten.
        (27_901, "resnet50_v2", "all", 10),
        # Of MobileNetV2 2,700 * 0.4 + 300 * 0.1 s.
        (27_899, "mobilenetv2_1.0", "all", 25),
        (11_101, "mobilenetv2_1.0", "all", 10),
        # 3,000 forward passes, and 37 epochs of 1.5 s.
        (11_099, "resnet50_v2", "head", 37),
        (400, "mobilenetv2_1.0", "head", 37),
    ],
)
def test_the_plan_for_many_images_fits_the_time(
    seconds: float, network: str, trainable: str, epochs: int
) -> None:
    plan, _ = plan_within(seconds, images=2_700)
    assert (plan.network, plan.recipe.trainable, plan.epochs) == (network, trainable, epochs)
    assert plan.seconds is not None
    assert plan.seconds <= seconds


def test_a_network_that_is_far_too_slow_is_not_measured() -> None:
    measured: list[str] = []
    plan_within(1, measured=measured)
    assert measured == ["mobilenetv2_1.0"]
    plan_within(400, measured=measured)
    assert measured == ["mobilenetv2_1.0", "mobilenetv2_1.0", "resnet50_v2"]


def plan_within(
    seconds: float, *overrides: str, measured: Optional[list[str]] = None, images: int = 900
) -> tuple[Plan, Config]:
    survey = Survey(BIRDS, np.array([images // 3] * 3), images // 9, 300, 20)
    wishes = Wishes(overrides)

    def resolve(plan: Plan) -> Config:
        tree = starter_tree(survey, plan, Path("data/train_valid"), wishes)
        return Config.model_validate(with_overrides(tree, "init", overrides))

    def measure(name: str, crop: int) -> Speed:
        if measured is not None:
            measured.append(name)
        step, forward = SPEEDS[name]
        return Speed(step, forward).at_crop(crop / 224)

    plan = fit_time(survey, CPU, wishes, seconds, measure, resolve)
    return plan, resolve(plan)


def test_epochs_that_were_given_stay(tmp_path: Path) -> None:
    plan, config = plan_within(20_000, "epochs=40")
    assert (plan.network, plan.recipe, config.epochs) == ("mobilenetv2_1.0", HEAD_FIRST, 40)
    assert plan.seconds == pytest.approx(370 + 12 * 0.5 + 28 * (900 * 0.4 + 100 * 0.1))


@pytest.mark.parametrize(
    ("override", "key", "value"),
    [("data.crop=160", "data.crop", 160), ("trainable=head", "trainable", "head")],
)
@pytest.mark.parametrize("seconds", [1, 100, 3_000, 20_000])
def test_what_is_given_is_not_changed_to_fit_the_time(
    override: str, key: str, value: object, seconds: float
) -> None:
    plan, config = plan_within(seconds, override)
    assert {"data.crop": plan.crop, "trainable": plan.recipe.trainable}[key] == value
    assert config == config.changed({key: value})
    assert config.epochs == plan.epochs


def test_epochs_of_phases_stay() -> None:
    _, config = plan_within(1, "trainable={head: 2, all: 5}")
    assert config.epochs == 7


def test_features_cost_their_forward_passes() -> None:
    speed = Speed(1.0, 0.25)
    config = Config(task="skirt", trainable="head")
    seconds = training_seconds(config, speed, 800, 200, 10)
    assert seconds == pytest.approx((4 * 800 + 200) * 0.25, rel=0.01)
    both = config.changed({"trainable": {"head": 0.2, "all": 0.8}})
    features = (2 * 800 + 200) * 0.25 + 2 * 1000 / 2000
    seconds = training_seconds(both, speed, 800, 200, 10)
    assert seconds == pytest.approx(features + 8 * (800 + 50))
    mixed = config.changed({"loss.mixup": 0.2})
    assert training_seconds(mixed, speed, 800, 200, 10) == pytest.approx(10 * (800 + 50))


@pytest.mark.parametrize("images", [3, 30, 999, 3_000, 30_000, 900_000])
@pytest.mark.parametrize(("short_side", "machine"), [(28, CPU), (128, GPU), (512, CPU)])
def test_batch_and_epochs_follow_their_number(
    tmp_path: Path, images: int, short_side: int, machine: Machine
) -> None:
    config = chosen(tmp_path, short_side, *[images // 3] * 3, machine=machine)
    recipe = WHOLE if config.trainable == "all" else HEAD_FIRST
    recipe = SCRATCH if config.model.name == "small_cnn" else recipe
    largest, bounds = recipe.largest_batch, (recipe.fewest, recipe.most)
    # Powers of two with 16 steps an epoch.
    wanted = [size for size in (8, 16, 32, 64, 128) if size <= largest and size * 16 <= images]
    assert config.batch_size == max(wanted, default=8)
    assert config.optimizer.lr == pytest.approx(recipe.lr * config.batch_size / largest)
    assert bounds[0] <= config.epochs <= bounds[1]
    if bounds[0] < config.epochs < bounds[1]:
        assert config.epochs * images == pytest.approx(recipe.images_in_all, rel=0.05)


def test_imbalanced_classes_are_weighted(tmp_path: Path) -> None:
    assert chosen(tmp_path, 32, 29, 10, 20).loss.class_weights == "none"
    assert chosen(tmp_path, 32, 30, 10, 20).loss.class_weights == "balanced"
    # A class without images has no weight.
    assert chosen(tmp_path, 32, 20, 10, 0).loss.class_weights == "none"
    text = (tmp_path / "birds.yaml").read_text()
    assert "Classes have from 10 (robin) to 20 (owl) images; 1 class without images." in text


def test_classes_of_equal_size_are_described_by_one_number(tmp_path: Path) -> None:
    chosen(tmp_path, 32, 9, 9, 9)
    assert "# Every class has 9 images.\n" in (tmp_path / "birds.yaml").read_text()


def test_the_memory_of_a_small_batch_is_given_in_megabytes(tmp_path: Path) -> None:
    chosen(tmp_path, 32, 9, 9, 9)
    text = " ".join((tmp_path / "birds.yaml").read_text().replace("\n#", "").split())
    assert re.search(r"per image, [0-9.]+ MB in all\.", text)


@pytest.mark.parametrize(
    "name", ["null", "12", "1e5", "true", "b-1", "0o17", "no", "1:30", "a: \U0001f989"]
)
def test_names_stay_names(tmp_path: Path, name: str) -> None:
    config = chosen(tmp_path, 32, 9, 9, 9, task=Task(name, (), ("# a\nb", *CLASSES[1:]), "table"))
    assert config.task_names == [name]
