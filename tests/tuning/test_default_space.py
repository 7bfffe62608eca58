"""The default search space: what it holds for which network, and its bound of cost."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest

from fashionai.config import Config, load_config
from fashionai.models.catalogue import relative_cost
from fashionai.tuning.spaces.default import default_space
from fashionai.tuning.spaces.files import dump_space, read_space
from fashionai.tuning.spaces.space import Choices
from tests.support.commands import CONFIG_FILES


def config_of(**values: object) -> Config:
    tree = {"task": "skirt", "model": {"name": "resnet18_v2"}}
    return Config.model_validate(tree).changed(values)


def keys_of(config: Config, *networks: str) -> list[str]:
    return [parameter.key for parameter in default_space(config, networks, 2.0)]


@pytest.mark.parametrize("file", CONFIG_FILES, ids=lambda file: file.stem)
def test_every_shipped_configuration_is_a_trial_of_its_space(file: Path, tmp_path: Path) -> None:
    config = load_config(file)
    space = default_space(config, (), 2.0)
    assert space.config_of(config, space.params_of(config)) == config
    # As a file, it has no errors and is the same space.
    written = tmp_path / "space.yaml"
    written.write_text(dump_space(space))
    assert dump_space(read_space(written, config)) == dump_space(space)


def test_networks_and_layers_that_learn_decide_the_parameters() -> None:
    resnet = keys_of(config_of())
    assert "loss.mixup" in resnet
    assert "data.augment" in resnet
    assert not {"model.drop_path", "optimizer.layer_decay", "model.name"} & {*resnet}
    efficientnet = keys_of(config_of(**{"model.name": "efficientnet_b0"}))
    assert "model.drop_path" in efficientnet
    assert "optimizer.layer_decay" not in efficientnet
    assert "optimizer.layer_decay" in keys_of(config_of(**{"model.name": "convnext_tiny"}))
    # Features are computed once: what changes the images or the network would end that.
    head = keys_of(config_of(trainable="head"))
    assert not {"loss.mixup", "data.augment", "model.drop_path"} & {*head}


@pytest.mark.parametrize(
    ("policy", "others"),
    [
        ("mirror", ["trivial_augment", "rand_augment-5", "rand_augment-10"]),
        ("trivial_augment", ["rand_augment-5", "rand_augment-10"]),
        ({"name": "rand_augment", "magnitude": 5}, ["trivial_augment", "rand_augment-10"]),
        (
            {"name": "rand_augment", "magnitude": 6},
            ["trivial_augment", "rand_augment-5", "rand_augment-10"],
        ),
    ],
)
def test_no_two_augmentations_are_the_same(policy: object, others: list[str]) -> None:
    config = config_of(**{"data.augment": ["random_crop", policy]})
    space = default_space(config, (), 2.0)
    names = [*space["data.augment"].domain.values]
    assert names == ["configured", *others]
    configs = [space.config_of(config, {"data.augment": name}) for name in names]
    assert not any(one == other for one, other in itertools.combinations(configs, 2))


def test_parameters_of_one_family_exist_with_its_networks_alone() -> None:
    space = default_space(config_of(), ["efficientnet_b0"], 8.0)
    drop_path = space["model.drop_path"]
    assert drop_path.is_active({"model.name": "efficientnet_b0"})
    assert not drop_path.is_active({"model.name": "resnet18_v2"})


@pytest.mark.parametrize("most_cost", [1.0, 2.0, 4.0])
def test_networks_and_crops_stay_within_the_cost(most_cost: float) -> None:
    config = config_of()
    others = ["resnet152_v2", "resnet50_v2", "resnet34_v2", "mobilenet0.25"]
    space = default_space(config, others, most_cost)
    limit = most_cost * relative_cost("resnet18_v2", 224)
    domain = space["model.name"].domain
    assert isinstance(domain, Choices)
    within = [name for name in others if relative_cost(name, 224) <= limit]
    assert [*domain.values] == ["resnet18_v2", *within]
    highest = space["data.crop"].domain.high
    assert relative_cost("resnet18_v2", highest) <= limit
    assert space["data.crop"].domain.holds(224)


def test_a_network_that_refuses_the_drop_path_of_the_configuration_is_left_out() -> None:
    config = config_of(**{"model.name": "efficientnet_b0", "model.drop_path": 0.2})
    space = default_space(config, ["mobilenet0.25", "efficientnet_lite0"], 2.0)
    domain = space["model.name"].domain
    assert isinstance(domain, Choices)
    assert [*domain.values] == ["efficientnet_b0", "efficientnet_lite0"]
