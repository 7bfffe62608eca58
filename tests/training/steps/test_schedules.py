"""Learning rates and momenta at every step against their definitions."""

from __future__ import annotations

import itertools
from fractions import Fraction

import pytest

from fashionai.config import Config
from fashionai.training.steps.schedules import learning_rate, momentum
from tests.support.references import between, one_cycle

LR, STEPS = 0.2, 7
EPOCHS = 12
TOTAL = EPOCHS * STEPS
WARM_UPS = [0, 0.5, 2]


def make_config(schedule: dict[str, object], epochs: int = EPOCHS) -> Config:
    return Config.model_validate(
        {"task": "skirt", "epochs": epochs, "optimizer": {"lr": LR}, "schedule": schedule}
    )


def rates(schedule: dict[str, object], epochs: int = EPOCHS, steps: int = STEPS) -> list[float]:
    config = make_config(schedule, epochs)
    return [learning_rate(config, step, steps) for step in range(epochs * steps)]


def momenta(schedule: dict[str, object], epochs: int = EPOCHS, steps: int = STEPS) -> list[float]:
    config = make_config(schedule, epochs)
    return [momentum(config, step, steps) for step in range(epochs * steps)]


def warm_up(first_rate: float, steps: int) -> list[float]:
    """A straight line that would be 0 a step before the beginning."""
    return [first_rate * number / steps for number in range(1, steps + 1)]


@pytest.mark.parametrize("epochs", WARM_UPS)
def test_constant_is_the_same_at_every_step_behind_the_warm_up(epochs: float) -> None:
    begin = round(epochs * STEPS)
    expected = warm_up(LR, begin) + [LR] * (TOTAL - begin)
    assert rates({"name": "constant", "warmup_epochs": epochs}) == pytest.approx(expected)


@pytest.mark.parametrize("epochs", WARM_UPS)
def test_step_multiplies_once_for_each_finished_epoch_listed(epochs: float) -> None:
    begin = round(epochs * STEPS)
    expected = []
    rate = LR
    for epoch in range(EPOCHS):
        if epoch in (3, 8):
            rate *= 0.5
        expected += [rate] * STEPS
    expected[:begin] = warm_up(LR, begin)
    schedule = {"name": "step", "factor": 0.5, "epochs": [3, 8, 12], "warmup_epochs": epochs}
    assert rates(schedule) == pytest.approx(expected, rel=1e-12)


def test_a_warm_up_inside_an_epoch_ends_before_the_first_fall() -> None:
    actual = rates({"name": "step", "warmup_epochs": 0.5, "factor": 0.1, "epochs": [1]})
    assert actual[:4] == pytest.approx([0.05, 0.1, 0.15, 0.2])
    assert actual[STEPS - 1] == 0.2
    assert actual[STEPS] == pytest.approx(0.02)


@pytest.mark.parametrize("epochs", WARM_UPS)
@pytest.mark.parametrize("final_factor", [0.0, 0.1, 1.0])
def test_cosine_follows_the_formula_behind_the_warm_up(epochs: float, final_factor: float) -> None:
    begin = round(epochs * STEPS)
    length = TOTAL - begin
    falling = [between(LR, LR * final_factor, step / length) for step in range(length)]
    schedule = {"name": "cosine", "warmup_epochs": epochs, "final_factor": final_factor}
    assert rates(schedule) == pytest.approx(warm_up(LR, begin) + falling, rel=1e-9)


@pytest.mark.parametrize("epochs", WARM_UPS)
@pytest.mark.parametrize("pct_start", [0.001, 0.3, 0.5, 0.99])
def test_one_cycle_has_the_rates_of_its_two_phases(epochs: float, pct_start: float) -> None:
    begin = round(epochs * STEPS)
    initial = LR / 10
    cycle = one_cycle(TOTAL - begin, pct_start, (initial, LR, initial / 500))
    schedule = {
        **{"name": "one_cycle", "warmup_epochs": epochs, "pct_start": pct_start},
        **{"div_factor": 10.0, "final_div_factor": 500.0},
    }
    assert rates(schedule) == pytest.approx(warm_up(initial, begin) + cycle, rel=1e-9)


@pytest.mark.parametrize("epochs", WARM_UPS)
@pytest.mark.parametrize("pct_start", [0.001, 0.3, 0.5, 0.99])
def test_one_cycle_has_the_momenta_of_its_two_phases(epochs: float, pct_start: float) -> None:
    begin = round(epochs * STEPS)
    cycle = one_cycle(TOTAL - begin, pct_start, (0.95, 0.8, 0.95))
    schedule = {
        **{"name": "one_cycle", "warmup_epochs": epochs, "pct_start": pct_start},
        **{"max_momentum": 0.95, "base_momentum": 0.8},
    }
    assert momenta(schedule) == pytest.approx([0.95] * begin + cycle, rel=1e-9)


def test_one_cycle_turns_and_ends_where_its_description_says() -> None:
    """With a turn on a step: the beginning, the peak and the end have round values."""
    schedule = {"name": "one_cycle", "pct_start": 0.25}
    actual, moving = rates(schedule), momenta(schedule)
    turn = TOTAL // 4 - 1
    assert actual[0] == pytest.approx(LR / 25)
    assert actual[turn] == max(actual) == pytest.approx(LR)
    assert actual[-1] == min(actual) == pytest.approx(LR / 25 / 1e4)
    assert (moving[0], moving[turn], moving[-1]) == pytest.approx((0.95, 0.85, 0.95))


@pytest.mark.parametrize(("rows", "batch"), [(23, 8), (40, 16), (7, 7), (100, 33)])
@pytest.mark.parametrize("discard", [False, True])
def test_epochs_of_unequal_numbers_of_steps(rows: int, batch: int, discard: bool) -> None:
    """Step counts its falls by epochs, the others run over the steps that there are."""
    sizes = []
    left = 0
    for _ in range(EPOCHS):
        full, rest = divmod(rows + left, batch)
        sizes.append(full)
        left = 0 if discard else rest
    total, mean = sum(sizes), Fraction(rows // batch) if discard else Fraction(rows, batch)

    def all_rates(schedule: dict[str, object]) -> list[float]:
        return [learning_rate(make_config(schedule), step, mean) for step in range(total)]

    falling = [
        LR * 0.5 ** ((e >= 3) + (e >= 8)) for e, size in enumerate(sizes) for _ in range(size)
    ]
    schedule = {"name": "step", "factor": 0.5, "epochs": [3, 8, 12]}
    assert all_rates(schedule) == pytest.approx(falling, rel=1e-12)
    cosine = [between(LR, 0, step / total) for step in range(total)]
    assert all_rates({"name": "cosine"}) == pytest.approx(cosine, rel=1e-9)
    cycle = one_cycle(total, 0.3, (LR / 25, LR, LR / 25 / 1e4))
    assert all_rates({"name": "one_cycle"}) == pytest.approx(cycle, rel=1e-9)
    begin = round(2 * float(mean))
    warm = all_rates({"name": "constant", "warmup_epochs": 2})
    assert warm == pytest.approx(warm_up(LR, begin) + [LR] * (total - begin))


@pytest.mark.parametrize("name", ["constant", "step", "cosine"])
def test_the_momentum_of_other_schedules_is_the_optimizers(name: str) -> None:
    assert momenta({"name": name, "warmup_epochs": 1}) == [0.9] * TOTAL


@pytest.mark.parametrize("name", ["constant", "step", "cosine", "one_cycle"])
def test_the_smallest_and_oddest_runs_have_positive_finite_rates(name: str) -> None:
    """One step, two steps, a warm-up longer than the run, a peak that no step reaches."""
    peaks = [1e-9, 0.5, 1 - 1e-9] if name == "one_cycle" else [None]
    sizes = [(1, 1), (1, 2), (2, 1), (1, 3), (3, 2)]
    for (epochs, steps), begin, peak in itertools.product(sizes, [0, 0.2, 1, 50], peaks):
        schedule = {"name": name, "warmup_epochs": begin, **({"pct_start": peak} if peak else {})}
        for rate in rates(schedule, epochs, steps):
            assert 0 < rate <= LR * (1 + 1e-12)
        for value in momenta(schedule, epochs, steps):
            assert 0.85 - 1e-12 <= value <= 0.95 + 1e-12
