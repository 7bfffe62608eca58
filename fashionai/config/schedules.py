"""Schedules of the learning rate (and, for one-cycle, of the momentum)."""

from __future__ import annotations

from typing import Annotated, Literal, Union

from pydantic import Field, model_validator

from fashionai.config.section import Section


class _WithWarmUp(Section):
    """What every schedule may begin with."""

    warmup_epochs: float = Field(
        0.0,
        ge=0,
        le=1_000_000,
        description="Epochs of linear growth from 0 to the first rate, before any schedule.",
    )


class ConstantSchedule(_WithWarmUp):
    """The same rate throughout."""

    name: Literal["constant"] = "constant"


class StepSchedule(_WithWarmUp):
    """Multiply the rate by a factor after certain epochs."""

    name: Literal["step"] = "step"
    factor: float = Field(0.75, gt=0, le=1, description="Factor of each step.")
    epochs: list[Annotated[int, Field(ge=1)]] = Field(
        [10, 20, 30, 40], description="Numbers of finished epochs after which the rate decreases."
    )


class CosineSchedule(_WithWarmUp):
    """Half a cosine from the full rate to its final value (arXiv:1608.03983)."""

    name: Literal["cosine"] = "cosine"
    final_factor: float = Field(0.0, ge=0, le=1, description="Last rate as a share of the first.")


class OneCycleSchedule(_WithWarmUp):
    """Up to the full rate and down again, with the momentum inverse to it (arXiv:1708.07120)."""

    name: Literal["one_cycle"] = "one_cycle"
    pct_start: float = Field(
        0.3, gt=0, lt=1, description="Share of the steps in which the rate rises, as half a cosine."
    )
    div_factor: float = Field(25.0, ge=1, description="The first rate is `lr / div_factor`.")
    final_div_factor: float = Field(
        1e4, ge=1, description="The last rate is `lr / (div_factor * final_div_factor)`."
    )
    max_momentum: float = Field(
        0.95, gt=0, lt=1, description="Momentum at the first and the last step."
    )
    base_momentum: float = Field(
        0.85, gt=0, lt=1, description="Momentum at the full rate; at most `max_momentum`."
    )

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
