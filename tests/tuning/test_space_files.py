"""Search spaces: what their files may hold, what is refused, and what a trial's values make."""

from __future__ import annotations

from pathlib import Path

import pytest

from fashionai.config import load_config
from fashionai.errors import ConfigError
from fashionai.tuning.spaces.files import dump_space, read_space
from fashionai.tuning.spaces.space import Space
from tests.docs.pages import PAGES, blocks

BASE = """\
task: skirt
model: {name: small_cnn, pretrained: false}
data: {crop: 32, resize_short: 36}
optimizer: {lr: 0.05}
schedule: {name: cosine, warmup_epochs: 0.5}
"""
ALL_KINDS = """\
loss.mixup: {low: 0, high: 1, when: {schedule.name: [cosine], trainable: [all]}}
schedule.name: [cosine, one_cycle]
trainable: {choices: [all, head], when: {schedule.name: cosine}}
optimizer.lr: {low: 0.001, high: 0.1, log: true}
batch_size: {low: 8, high: 64, log: true}
data.crop: {low: 24, high: 48, step: 8}
data.augment:
  choices:
    plain: []
    strong: [random_crop, {name: rand_augment, magnitude: 12}]
"""


@pytest.fixture
def space_of(tmp_path: Path):
    base = write(tmp_path / "base.yaml", BASE)

    def read(text: str) -> Space:
        return read_space(write(tmp_path / "space.yaml", text), load_config(base))

    return read


@pytest.fixture
def base(tmp_path: Path):
    return load_config(write(tmp_path / "base.yaml", BASE))


def write(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


def test_all_errors_are_told_at_once(space_of, tmp_path: Path) -> None:
    text = """\
optimizer.lr: {low: 0.1, high: 0.01, log: 3}
optimizer.weight_decy: [1]
weight_decay: [1]
seed: [1, 2]
epochs: [1, 2]
accumulate: 3
batch_size: {low: small, high: 64, step: -1}
loss.mixup: {low: 0, high: 1, log: true, step: 0.1, sort: up}
trainable: []
data.crop: {choices: [24, 24], low: 8}
schedule.name: [cosine, one_cycle]
ema: {low: 0.5, high: 0.9, when: {schedule.name: cosin, optimizer.momentum: 1, batch_size: 8}}
model.drop_path: {low: 0.1, when: 3}
"""
    with pytest.raises(ConfigError) as caught:
        space_of(text)
    assert str(caught.value).splitlines() == [
        f"{tmp_path}/space.yaml: 17 errors in the search space",
        "  optimizer.lr: log: expected true or false, found 3",
        "  optimizer.weight_decy: unknown key of the configuration. "
        "Did you mean 'optimizer.weight_decay'?",
        "  weight_decay: unknown key of the configuration. Did you mean 'optimizer.weight_decay'?",
        "  seed: is the same in all trials, so it is not searched",
        "  epochs: is the same in all trials, so it is not searched",
        "  accumulate: expected a list of choices, or low and high such as "
        "{low: 0.001, high: 0.1, log: true}, found 3",
        "  batch_size: low: expected a number, found 'small'",
        "  loss.mixup: unknown field 'sort'. Choose from: low, high, log, step, choices, when",
        "  loss.mixup: log: low is 0, expected a number > 0",
        "  loss.mixup: step and log exclude each other",
        "  trainable: choices: expected a list of values, found []",
        "  data.crop: choices do not go with low",
        "  data.crop: choices: a value is given twice",
        "  model.drop_path: expected a list of choices, or low and high such as "
        "{low: 0.001, high: 0.1, log: true}",
        "  model.drop_path: when: expected choices of other keys, found 3",
        "  ema: when: schedule.name has no choice 'cosin'. Did you mean 'cosine'?",
        "  ema: when: 'optimizer.momentum' is not searched. Did you mean 'optimizer.lr'?",
    ]


def test_values_that_the_configuration_refuses_are_told_at_once(space_of) -> None:
    text = """\
optimizer.lr: {low: 0, high: 1}
schedule.name: [cosine, two_cycle]
data.augment: {choices: {none: [], odd: [miror]}}
data.crop: [7, 32]
model.name: [nonsense, resnet18_v3]
"""
    with pytest.raises(ConfigError) as caught:
        space_of(text)
    lines = str(caught.value).splitlines()
    assert "6 errors" in lines[0]
    assert "optimizer.lr" in lines[1]
    assert lines[2].strip() == "schedule.name: found 'two_cycle'. Did you mean 'one_cycle'?"
    assert "data.augment odd: data.augment.0.name: found 'miror'" in lines[3]
    assert "data.crop" in lines[4]
    assert "found 7" in lines[4]
    assert "model.name: unknown network 'nonsense'" in lines[5]
    assert "Did you mean 'resnet18_v2'?" in lines[6]


def test_wrong_values_are_told_beside_other_errors(space_of) -> None:
    text = """\
optimizer.lr: {low: 0.1, high: 0.01}
schedule.name: [cosine, two_cycle]
loss.mixup: {low: -1, high: 0.3, when: {schedule.name: cosine}}
ema: {low: 0.5, high: 7, when: {optimizer.lr: 1}}
"""
    with pytest.raises(ConfigError) as caught:
        space_of(text)
    problems = [line.split(":")[0].strip() for line in str(caught.value).splitlines()[1:]]
    assert problems == ["optimizer.lr", "schedule.name", "loss.mixup"]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (
            "schedule.name: [constant, step]\nschedule.factor: {low: 0.1, high: 0.9, when: "
            "{schedule.name: step}}\nloss.mixup: [0, 0.1]",
            [],
        ),
        (
            "model.name: [small_cnn, mobilenet0.25, efficientnet_b0]\n"
            "model.drop_path: {low: 0, high: 0.3}\nbatch_size: [8, 16]",
            [
                "model.drop_path: does not go with model.name small_cnn, mobilenet0.25 "
                "(model.drop_path: 0.3 has no effect on small_cnn). "
                "Add when: {model.name: [efficientnet_b0]}"
            ],
        ),
        # That of the configuration is in no trial.
        ("model.name: [efficientnet_b0]\nmodel.drop_path: [0.1, 0.2]", []),
        (
            "model.name: [small_cnn, efficientnet_b0]\n"
            "model.drop_path: {choices: [0.1, 0.2], when: {model.name: efficientnet_b0}}",
            [],
        ),
        (
            "model.drop_path: [0, 0.2]\nbatch_size: [8, 16]",
            ["model.drop_path: 0.2 has no effect on small_cnn"],
        ),
        (
            "data.resize_short: [36, 48]\ndata.crop: [32, 40]",
            [
                "data.resize_short: does not go with data.crop 40 "
                "(data: crop 40 is larger than resize_short 36). Add when: {data.crop: [32]}"
            ],
        ),
    ],
)
def test_values_that_do_not_go_together_are_told_with_the_condition_that_is_missing(
    space_of, text: str, told: list[str]
) -> None:
    if not told:
        assert space_of(text)
        return
    with pytest.raises(ConfigError) as caught:
        space_of(text)
    assert [line.strip() for line in str(caught.value).splitlines()[1:]] == told


def test_a_key_of_another_schedule_needs_a_condition(tmp_path: Path) -> None:
    base = write(tmp_path / "base.yaml", BASE.replace("cosine", "step"))
    text = "schedule.factor: {low: 0.1, high: 0.9}\nschedule.name: [cosine, step]\n"
    with pytest.raises(ConfigError) as caught:
        read_space(write(tmp_path / "space.yaml", text), load_config(base))
    (problem,) = str(caught.value).splitlines()[1:]
    assert "schedule.factor: does not go with schedule.name cosine (" in problem
    assert "unknown key of cosine" in problem
    assert problem.endswith("Add when: {schedule.name: [step]}")


def test_a_section_with_keys_that_all_trials_share_is_refused(space_of) -> None:
    with pytest.raises(ConfigError, match=r"  data: has data\.folder, .*the same in all trials"):
        space_of("data: [{folder: elsewhere}]\n")
    assert "optimizer" in space_of("optimizer: [{name: adam, lr: 0.001}]\n")


def test_long_choices_that_begin_alike_are_different_ones(space_of, base) -> None:
    steps = "{name: random_resized_crop, area: [0.25, 1.0], ratio: [0.75, 1.333]}, mirror"
    space = space_of(
        f"data.augment: [[{steps}, trivial_augment], [{steps}, rand_augment]]\n"
        f"loss.mixup: {{low: 0.1, high: 0.4, when: {{data.augment: [[{steps}, rand_augment]]}}}}\n"
    )
    names = [*space["data.augment"].domain.values]
    configs = [space.config_of(base, {"data.augment": name}) for name in names]
    assert [config.data.augment[-1].name for config in configs] == [
        "trivial_augment",
        "rand_augment",
    ]
    active = [space["loss.mixup"].is_active({"data.augment": name}) for name in names]
    assert active == [False, True]
    assert [*space_of(dump_space(space))] == [*space]
    with pytest.raises(ConfigError, match="choices: a value is given twice"):
        space_of(f"data.augment: [[{steps}], [{steps}]]\n")


def test_the_problem_of_a_long_choice_is_told_whole(space_of) -> None:
    with pytest.raises(ConfigError, match=r"\.\.\.: data\.augment\.99\.name: found 'miror'"):
        space_of(f"data.augment: [[{'mirror, ' * 99}miror]]\n")


@pytest.mark.parametrize("text", ["", "[1]", "a: {b: [}"])
def test_a_file_without_keys_is_refused(space_of, text: str) -> None:
    with pytest.raises(ConfigError, match=r"space\.yaml"):
        space_of(text)


def test_conditions_that_depend_on_each_other_are_refused(space_of) -> None:
    text = """\
trainable: {choices: [all, head], when: {schedule.name: cosine}}
schedule.name: {choices: [cosine, one_cycle], when: {trainable: all}}
"""
    with pytest.raises(ConfigError, match="depends on itself"):
        space_of(text)


def test_parameters_come_after_their_conditions_and_exist_only_with_them(space_of) -> None:
    space = space_of(ALL_KINDS)
    order = [parameter.key for parameter in space]
    assert order.index("schedule.name") < order.index("trainable") < order.index("loss.mixup")
    mixup, trainable = space["loss.mixup"], space["trainable"]
    both = {"schedule.name": "cosine", "trainable": "all"}
    assert trainable.is_active(both)
    assert mixup.is_active(both)
    assert not mixup.is_active({**both, "trainable": "head"})
    assert not mixup.is_active({"schedule.name": "one_cycle"})
    assert not trainable.is_active({"schedule.name": "one_cycle"})


def test_whole_numbers_follow_from_the_key(space_of) -> None:
    space = space_of(ALL_KINDS)
    assert space["batch_size"].domain.whole
    assert space["data.crop"].domain.whole
    assert not space["loss.mixup"].domain.whole  # though 0 and 1 are whole numbers


def test_a_written_space_is_read_as_the_same(space_of) -> None:
    text = dump_space(space_of(ALL_KINDS))
    assert dump_space(space_of(text)) == text
    assert [*space_of(text)] == [*space_of(ALL_KINDS)]


def test_the_space_of_the_documentation_is_read(tmp_path: Path) -> None:
    (text,) = (block.text for block in blocks(PAGES["tuning.md"]) if "when:" in block.text)
    space = read_space(write(tmp_path / "space.yaml", text), load_config("skirt"))
    assert len([*space]) == 6
    assert space["loss.mixup"].when == {"data.augment": ["strong"]}


def test_a_trial_changes_its_keys_alone(space_of, base) -> None:
    space = space_of(ALL_KINDS)
    config = space.config_of(base, {"optimizer.lr": 0.002, "data.augment": "strong"})
    expected = {"optimizer.lr": 0.002}
    steps = [{"name": "random_crop"}, {"name": "rand_augment", "magnitude": 12.0}]
    assert config == base.changed({**expected, "data.augment": steps})


def test_the_short_side_follows_the_crop(space_of, base) -> None:
    changed = space_of(ALL_KINDS).config_of(base, {"data.crop": 48})
    assert (changed.data.crop, changed.data.resize_short) == (48, 54)


def test_another_schedule_drops_the_keys_of_the_former_one(space_of, base) -> None:
    changed = space_of(ALL_KINDS).config_of(base, {"schedule.name": "one_cycle"})
    assert changed.schedule.name == "one_cycle"
    assert changed.schedule.warmup_epochs == 0.5


def test_the_parameters_of_a_configuration_are_those_that_the_space_holds(space_of, base) -> None:
    space = space_of(ALL_KINDS)
    params = space.params_of(base)
    # Its list of steps is none of the choices; its batch size is one of the numbers.
    assert params == {
        "schedule.name": "cosine",
        "trainable": "all",
        "optimizer.lr": 0.05,
        "batch_size": 64,
        "data.crop": 32,
        "loss.mixup": 0.0,
    }
    assert space.config_of(base, params) == base
