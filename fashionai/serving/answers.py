"""The bodies of answers, as OpenAPI describes them."""

from __future__ import annotations

from typing import Optional

from pydantic import BaseModel, ConfigDict, Field


class RankedClass(BaseModel):
    """A class with its probability."""

    model_config = ConfigDict(populate_by_name=True)

    name: str = Field(alias="class")
    probability: float = Field(ge=0, le=1)


class ImageProblem(BaseModel):
    """Why an image has no classes."""

    status: int
    detail: str


class ImageAnswer(BaseModel):
    """The classes of an image by task, the most probable first; or what is wrong with it."""

    image: str
    tasks: Optional[dict[str, list[RankedClass]]] = None
    error: Optional[ImageProblem] = None


class Predictions(BaseModel):
    """The answer to each image, in their order."""

    images: list[ImageAnswer]


class Problem(BaseModel):
    """Why a request was refused; ``images`` as in Predictions where images were the reason."""

    detail: str
    images: Optional[list[ImageAnswer]] = None


class Health(BaseModel):
    """``ok``, or ``stopping``."""

    status: str


class AcceptedLimits(BaseModel):
    """What the server accepts, see fashionai.serving.limits."""

    request_bytes: int
    pixels: int
    images: int
    queue: int
    seconds: float
    waiting_bytes: int


class Model(BaseModel):
    """The network, the engine that computes it, its views per image, and its classes by task.

    ``calibrated`` tells whether probabilities are scaled by the run's calibration.
    """

    network: str
    engine: str
    crops: int
    calibrated: bool
    tasks: dict[str, list[str]]
    limits: AcceptedLimits
