"""Schedules of the learning rate (and, for one-cycle, of the momentum)."""

from __future__ import annotations

from typing import Annotated, Literal, Union

from pydantic import Field, model_validator

from fashionai.config.section import Section


class _WithWarmUp(Section):
    """Every schedule may begin with ``warmup_epochs`` of linear growth from 0 to its first rate."""

    warmup_epochs: float = Field(0.0, ge=0)


class ConstantSchedule(_WithWarmUp):
    """The same rate throughout."""

    name: Literal["constant"] = "constant"


class StepSchedule(_WithWarmUp):
    """Multiply the rate by ``factor`` after each number of finished epochs in ``epochs``."""

    name: Literal["step"] = "step"
    factor: float = Field(0.75, gt=0, le=1)
    epochs: list[Annotated[int, Field(ge=1)]] = [10, 20, 30, 40]


class CosineSchedule(_WithWarmUp):
    """Half a cosine from the full rate to ``final_factor`` of it (arXiv:1608.03983)."""

    name: Literal["cosine"] = "cosine"
    final_factor: float = Field(0.0, ge=0, le=1)


class OneCycleSchedule(_WithWarmUp):
    """Up to the full rate and down again, while the momentum does the opposite (arXiv:1708.07120).

    For ``pct_start`` of the steps half a cosine rises from lr / ``div_factor`` to
    lr; for the rest another falls to lr / (``div_factor`` * ``final_div_factor``).
    The momentum falls from ``max_momentum`` to ``base_momentum`` and rises again.
    """

    name: Literal["one_cycle"] = "one_cycle"
    pct_start: float = Field(0.3, gt=0, lt=1)
    div_factor: float = Field(25.0, ge=1)
    final_div_factor: float = Field(1e4, ge=1)
    max_momentum: float = Field(0.95, gt=0, lt=1)
    base_momentum: float = Field(0.85, gt=0, lt=1)

    @model_validator(mode="after")
    def _momentum_in_order(self) -> OneCycleSchedule:
        if self.base_momentum > self.max_momentum:
            raise ValueError(
                f"base_momentum {self.base_momentum} is larger than max_momentum "
                f"{self.max_momentum}"
            )
        return self


Schedule = Annotated[
    Union[ConstantSchedule, StepSchedule, CosineSchedule, OneCycleSchedule],
    Field(discriminator="name"),
]
SCHEDULE_MODELS = (ConstantSchedule, StepSchedule, CosineSchedule, OneCycleSchedule)
SCHEDULES = tuple(model.model_fields["name"].default for model in SCHEDULE_MODELS)
