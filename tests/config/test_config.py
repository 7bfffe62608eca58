"""The run configuration: errors all at once, overrides and round trips."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from fashionai.config import (
    Config,
    DataConfig,
    differing_keys,
    dump_config,
    known_keys,
    load_config,
    resolve_config,
)
from fashionai.config.augmentations import AUGMENTATIONS, Mirror, RandomCrop
from fashionai.config.schedules import SCHEDULES, CosineSchedule, StepSchedule
from fashionai.errors import ConfigError
from fashionai.weights.store import StartingWeights


@pytest.fixture
def load(tmp_path: Path):
    def load_text(text: str, *overrides: str) -> Config:
        path = tmp_path / "c.yaml"
        path.write_text(text)
        return load_config(path, overrides)

    return load_text


@pytest.fixture
def problems(load, tmp_path: Path):
    """The lines of the error that a configuration gives, without the file's folder."""

    def find(text: str, *overrides: str) -> list[str]:
        with pytest.raises(ConfigError) as caught:
            load(text, *overrides)
        lines = str(caught.value).replace(f"{tmp_path}/", "").splitlines()
        return [line.strip() for line in lines]

    return find


def test_all_errors_are_reported_together_with_the_nearest_names(problems) -> None:
    text = "task: skrit\nepochs: many\nmodel: {nam: vgg}\noptimizer: {lr: -1, name: adm}\n"
    assert problems(text, "schedule.name=cosin", "batchsize=3", "nonsense") == [
        "c.yaml: 8 errors in the configuration",
        "override 'nonsense': expected key=value, for instance optimizer.lr=0.01",
        "task: unknown task 'skrit'. Did you mean 'skirt'?",
        "model.nam: unknown key. Did you mean 'model.name'?",
        "epochs: input should be a valid integer, found 'many'",
        "optimizer.name: input should be 'sgd', 'nag', 'adam' or 'adamw', found 'adm'",
        "optimizer.lr: input should be greater than 0, found -1",
        "schedule.name: found 'cosin'. Did you mean 'cosine'?",
        "batchsize: unknown key. Did you mean 'batch_size'?",
    ]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("{}", "task: missing. Choose from: skirt, coat, "),
        ("task: skirt\nmirror: 1", "mirror: unknown key. Did you mean 'monitor'?"),
        ("task: skirt\nlr: 1", "lr: unknown key. Did you mean 'optimizer.lr'?"),
        (
            "task: skirt\ntrainable: heads",
            "trainable: expected all, last-stage, head, or epochs of",
        ),
        (
            "task: skirt\ndata: {sizes: [[0.1, 128]]}",
            "data.sizes: expected shares that rise from 0 and are below 1, found [0.1]",
        ),
        (
            "task: skirt\ndata: {sizes: [[0, 128], [0.5, 4]]}",
            "data.sizes: expected sides that are whole numbers from 8 to ",
        ),
        (
            "task: skirt\ndata: {sizes: [[0, abc]]}",
            "data.sizes.0.1: input should be a valid number, found 'abc'",
        ),
        (
            "task: skirt\ndata: {sizes: [[0, 128.5]]}",
            "data.sizes: expected sides that are whole numbers from 8 to 4096, found 128.5",
        ),
        ("task: skirt\ntrainable: {had: 2}", "trainable: found 'had'. Did you mean 'head'?"),
        (
            "task: skirt\ntrainable: {head: 2.0, all: 18}",
            "trainable: expected whole numbers, or shares that add up to 1, found [2.0, 18]",
        ),
        (
            "task: skirt\ntrainable: {head: 0.1, all: 0.8}",
            "trainable: expected whole numbers, or shares that add up to 1, found [0.1, 0.8]",
        ),
        (
            "task: skirt\ntrainable: {head: true, all: 18}",
            "trainable: the epochs of head are True, expected a number > 0",
        ),
        (
            "task: skirt\ntrainable: {head: -0.1, all: 1.1}",
            "trainable: the epochs of head are -0.1, expected a number > 0",
        ),
        (
            "task: skirt\ntrainable: {all: 2, head: 18}",
            "trainable: expected the order head, last-stage, all, found all, head",
        ),
        (
            "task: skirt\ntrainable: {head: 2, all: 18}",
            "epochs: found 40, but the phases of trainable have 20 together",
        ),
        ("task: skirt\nschedule: {name: step, step: 3}", "schedule.step: unknown key of step."),
        ("task: skirt\nschedule: {factor: 0.3}", "schedule.name: missing. Choose from: constant,"),
        ("task: skirt\nschedule: step", "schedule: expected keys with values, found 'step'"),
        (
            "task: skirt\nschedule: {name: step, final_factor: 0}",
            "schedule.final_factor: unknown key of step. Did you mean 'factor'?",
        ),
        (
            "task: skirt\ndata: {augment: [{name: random_crop, degrees: 1}]}",
            "data.augment.0.degrees: unknown key of random_crop. Choose from: name, p",
        ),
        (
            "task: skirt\ndata: {augment: [flop]}",
            "data.augment.0.name: found 'flop'. Did you mean 'flip'?",
        ),
        (
            "task: skirt\ndata: {augment: [{name: flop}]}",
            "data.augment.0.name: found 'flop'. Did you mean 'flip'?",
        ),
        (
            "task: skirt\ndata: {augment: [{name: mirror, p: 2}]}",
            "data.augment.0.p: input should be less than or equal to 1, found 2",
        ),
        (
            "task: skirt\ndata: {crop: 300, resize_short: 256}",
            "data: crop 300 is larger than resize_short 256",
        ),
        ("task: skirt\ndata: {std: [1, 0, 1]}", "data: std [1.0, 0.0, 1.0] has a channel that"),
        ("task: skirt\noptimizer: {lr: .inf}", "optimizer.lr: input should be a finite number"),
        ("task: skirt\noptimizer: {lr: true}", "optimizer.lr: input should be a valid number"),
        ("task: skirt\nepochs: '3'", "epochs: input should be a valid integer, found '3'"),
        ("task: skirt\nseed: -1", "seed: input should be greater than or equal to 0, found -1"),
        ("task: skirt\nmodel: {pretrained: 1}", "model.pretrained: expected true, false or the"),
        ("task: skirt\n3: 4", "3: unknown key. "),
    ],
)
def test_one_wrong_value_is_one_line_that_names_the_key(problems, text: str, problem: str) -> None:
    lines = problems(text)
    assert lines[0] == "c.yaml: 1 error in the configuration"
    assert len(lines) == 2
    assert lines[1].startswith(problem)


@pytest.mark.parametrize(
    ("override", "problem"),
    [
        ("epochs", "override 'epochs': expected key=value, for instance optimizer.lr=0.01"),
        ("=3", "override '=3': expected key=value, for instance optimizer.lr=0.01"),
        ("epochs=[", "override 'epochs=[': the value is not valid YAML: expected the node content"),
        ("seed=2020-13-45", "seed: input should be a valid integer, found '2020-13-45'"),
        ("epochs=1:30", "epochs: input should be a valid integer, found '1:30'"),
        ("epochs=1_000", "epochs: input should be a valid integer, found '1_000'"),
        (
            'epochs=!!int ""',
            "override 'epochs=!!int \"\"': the value is not valid YAML: '' is not of",
        ),
        ("ema=!!bool x", "override 'ema=!!bool x': the value is not valid YAML: 'x' is not of the"),
        ("epochs=!!timestamp x", "override 'epochs=!!timestamp x': the value is not valid YAML: "),
        (
            "task=" + "[" * 1500,
            f"override 'task={'[' * 72}...': the value is not valid YAML: nested",
        ),
        ("data.folder=\udcb9", "override 'data.folder=\\udcb9': the value is not valid YAML: "),
        ("\udcb9=1", "override '\\udcb9=1': the key is not UTF-8 text"),
        ("data.\udcb9=1", "override 'data.\\udcb9=1': the key is not UTF-8 text"),
        (".".join("a" * 5000) + "=1", f"{'a.' * 38}a...: unknown key. "),
        ("epochs=1e400", "epochs: input should be a valid integer, found inf"),
        ("model.pretrained=no", "model.pretrained: found 'no', which is text. Write true or false"),
        (
            "loss.class_weights={a: 1" + "0" * 400 + "}",
            "loss.class_weights: the weight of a is 1000",
        ),
        (
            "loss.class_weights={a: 1e-50}",
            "loss.class_weights: the weight of a is 1e-50, expected a",
        ),
        ("schedule.name=[" + "x" * 500 + "]", "schedule.name: found '"),
        (
            "epochs=" + "[x, " * 40 + "]" * 40,
            "epochs: input should be a valid integer, found ['x', ['x', ",
        ),
        ("seed=", "seed: input should be a valid integer, found None"),
        ("epochs.x=3", "epochs: input should be a valid integer, found keys with values"),
        ("data.augment.p=1", "data.augment.p: give the whole list, for instance 'data.augment="),
        ("data.crp=32", "data.crp: unknown key. Did you mean 'data.crop'?"),
    ],
)
def test_a_wrong_override_names_what_is_expected(problems, override: str, problem: str) -> None:
    lines = problems("task: skirt\n", override)
    assert len(lines) == 2
    assert lines[1].startswith(problem)


def test_class_weights_have_the_names_as_written(load) -> None:
    """YAML 1.1 takes yes and no for true and false."""
    weights = load("task: skirt\nloss: {class_weights: {yes: 2, no: 1, 01: 3}}\n").loss
    assert weights.class_weights == {"yes": 2, "no": 1, "01": 3}


def test_of_many_problems_the_first_are_listed(problems) -> None:
    lines = problems("task: skirt\n" + "".join(f"k{number}: 1\n" for number in range(3000)))
    assert lines[0] == "c.yaml: 3,000 errors in the configuration"
    assert len(lines) == 52
    assert lines[-1] == "and 2,950 more"


def test_a_step_of_the_augmentation_may_be_its_name_alone(load) -> None:
    config = load("task: skirt\n", "data.augment=[random_crop, mirror]")
    assert config.data.augment == [RandomCrop(), Mirror()]


def test_overrides_win_over_the_file_and_the_last_one_wins(load) -> None:
    config = load(
        "task: skirt\noptimizer: {lr: 0.1}\n",
        *("optimizer.lr=1e-3", "data.augment=[]", "model.pretrained=w/x.params"),
        *("epochs=3", "epochs=4", "data.mean=[0, 0.5, 1]"),
    )
    assert config.optimizer.lr == 0.001
    assert config.data.augment == []
    assert config.model.pretrained == "w/x.params"
    assert config.epochs == 4
    assert config.data.mean == [0, 0.5, 1]


STEP = "task: skirt\nschedule: {name: step, factor: 0.3, epochs: [5], warmup_epochs: 2}\n"


def test_another_schedule_drops_the_files_schedule_keys(load) -> None:
    """All but the warm-up, which every schedule has."""
    assert load(STEP, "schedule.name=cosine").schedule == CosineSchedule(warmup_epochs=2)
    chosen = load(STEP, "schedule.final_factor=0.1", "schedule.name=cosine").schedule
    assert chosen == CosineSchedule(final_factor=0.1, warmup_epochs=2)


def test_the_same_schedule_keeps_the_files_schedule_keys(load) -> None:
    kept = load(STEP, "schedule.name=step", "schedule.factor=0.4").schedule
    assert kept == StepSchedule(factor=0.4, epochs=[5], warmup_epochs=2)


def test_an_override_of_the_schedule_keeps_its_effect_wherever_its_name_stands(load) -> None:
    overrides = ("schedule.factor=0.5", "schedule.name=step")
    for order in (overrides, overrides[::-1]):
        assert load("task: skirt\n", *order).schedule == StepSchedule(factor=0.5)


def test_a_section_with_all_its_keys_commented_out_has_its_defaults(load) -> None:
    assert load("task: skirt\ndata:\n  # crop: 8\n") == load("task: skirt\n")
    assert load("task: skirt\ndata:\n", "data.crop=32").data.crop == 32


def test_a_missing_file_names_those_that_are_there(tmp_path: Path) -> None:
    (tmp_path / "skirt.yaml").write_text("task: skirt")
    with pytest.raises(ConfigError) as caught:
        load_config(tmp_path / "skrit.yaml")
    expected = f"{tmp_path / 'skrit.yaml'}: no such file. Did you mean 'skirt.yaml'?"
    assert str(caught.value) == expected


def dotted(tree: Any, prefix: str = "") -> set[str]:
    """Dotted keys of a dumped configuration, list items without their index."""
    if isinstance(tree, dict):
        return {name for key, value in tree.items() for name in dotted(value, f"{prefix}.{key}")}
    if isinstance(tree, list) and tree and isinstance(tree[0], dict):
        return {name for item in tree for name in dotted(item, prefix)}
    return {prefix.lstrip(".")}


def test_known_keys_are_the_keys_of_dumped_configurations(load) -> None:
    dumped: set[str] = set()
    every_step = ", ".join(f"{{name: {name}}}" for name in AUGMENTATIONS)
    for schedule in SCHEDULES:
        config = load(
            f"task: skirt\ndata: {{augment: [{every_step}]}}\n", f"schedule.name={schedule}"
        )
        dumped |= dotted(yaml.safe_load(dump_config(config)))
    assert set(known_keys()) == dumped
    assert len(known_keys()) == len(dumped)


def test_differing_keys_are_dotted_and_show_both_values(load) -> None:
    one = load("task: skirt\n", "epochs=3", "optimizer.lr=0.1")
    other = load("task: skirt\n", "epochs=4", "optimizer.lr=0.1", "schedule.name=cosine")
    assert differing_keys(one, other) == [
        "epochs: 3, not 4",
        "schedule.name: step, not cosine",
        "schedule.factor: 0.75, not null",
        "schedule.epochs: [10, 20, 30, 40], not null",
        "schedule.final_factor: null, not 0.0",
    ]


@pytest.mark.parametrize(
    "tree", [{"\udcb9": 1}, {"data": {"\udcb9": 1}}, {"data": {"x": "\udcb9"}}]
)
def test_half_characters_of_a_script_are_refused(tree: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=r"1 error in the configuration"):
        resolve_config({"task": "skirt", **tree}, "config")


@pytest.mark.parametrize(
    ("data", "fraction", "resized"),
    [  # crop / fraction, rounded
        ({"crop": 224}, 0.95, 236),
        ({"crop": 224}, 0.875, 256),
        ({"crop": 384}, 1.0, 384),
        ({"crop": 224, "resize_short": 300}, 0.95, 300),
        ({"crop": 4096}, 0.875, 4096),
    ],
)
def test_a_resized_short_side_left_open_is_that_of_the_weights(data, fraction, resized) -> None:
    config = Config(task="skirt", data=DataConfig(**data))
    resolved = StartingWeights(None, "", crop_fraction=fraction).resolve_input(config)
    assert resolved.data.resize_short == resolved.data.short_side == resized


def test_without_weights_the_short_side_is_that_of_imagenets_networks() -> None:
    assert DataConfig().short_side == 256
    assert DataConfig(crop=128).short_side == 146
    begun = Config(task="skirt", data=DataConfig(crop=128, resize_short=256))
    assert Config(task="skirt", data=DataConfig(crop=128)).with_input_of(begun) == begun
