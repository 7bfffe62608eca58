"""The steps of ``data.augment``: every step has its probability ``p`` and its own strength.

The crop comes first wherever it stands; of several that happen, the last one
counts, and without one the crop is central. The geometric steps (mirror to warp)
then change it in the order of the list, all in one sampling of the image. Steps
of colour, noise and erasing follow in theirs.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal, Union, get_args

from pydantic import AfterValidator, Field

from fashionai.config.section import Probability, Section


def _rising(values: list[float]) -> list[float]:
    if values[0] > values[1]:
        raise ValueError(f"the first of {values} is larger than the second")
    return values


# Two numbers, the smaller one first.
Share = Annotated[float, Field(ge=0.001, le=1)]
Area = Annotated[list[Share], Field(min_length=2, max_length=2), AfterValidator(_rising)]
Scale = Annotated[float, Field(ge=0.1, le=10)]
Ratio = Annotated[list[Scale], Field(min_length=2, max_length=2), AfterValidator(_rising)]
Amount = Annotated[float, Field(ge=0, lt=1)]


class _Step(Section):
    """What all steps have; ``neutral`` holds the strength at which a step changes nothing."""

    neutral: ClassVar[Mapping[str, object]] = {}

    name: str
    p: Probability = 1.0

    @property
    def changes_nothing(self) -> bool:
        """Whether an image always stays as it is: no probability, or no strength."""
        return self.p == 0 or any(getattr(self, key) == self.neutral[key] for key in self.neutral)


class RandomCrop(_Step):
    """Cut the crop at a random place instead of the centre."""

    name: Literal["random_crop"] = "random_crop"


class RandomResizedCrop(_Step):
    """Cut a random share of the image's area at a random aspect ratio (arXiv:1409.4842)."""

    name: Literal["random_resized_crop"] = "random_resized_crop"
    area: Area = [0.08, 1.0]
    ratio: Ratio = [0.75, 4 / 3]


class Mirror(_Step):
    """Swap left and right."""

    name: Literal["mirror"] = "mirror"
    p: Probability = 0.5


class Flip(_Step):
    """Swap top and bottom."""

    name: Literal["flip"] = "flip"
    p: Probability = 0.5


class Dihedral(_Step):
    """One of the eight flips and turns by 90 degrees, each as likely."""

    name: Literal["dihedral"] = "dihedral"


class Rotate(_Step):
    """Turn about the centre by an angle drawn from -degrees to degrees."""

    neutral = {"degrees": 0.0}

    name: Literal["rotate"] = "rotate"
    degrees: float = Field(10.0, ge=0, le=180)


class Zoom(_Step):
    """Enlarge about the centre by a factor drawn between the two given; below 1 shrinks."""

    neutral = {"factor": [1.0, 1.0]}

    name: Literal["zoom"] = "zoom"
    factor: Ratio = [1.0, 1.1]


class Warp(_Step):
    """Tilt the image in perspective: change each side's length by up to ``magnitude`` of it."""

    neutral = {"magnitude": 0.0}

    name: Literal["warp"] = "warp"
    # From 0.5 on the corners may not span a square seen in perspective any more.
    magnitude: float = Field(0.2, ge=0, lt=0.5)


class _Light(_Step):
    """``space`` linear works on pixel values, logit on ln(v / (1 - v)) of values v in 0..1."""

    neutral = {"amount": 0.0}

    amount: Amount = 0.2
    space: Literal["linear", "logit"] = "linear"


class Brightness(_Light):
    """Multiply by a factor from 1 - amount to 1 + amount; in logit space, shift."""

    name: Literal["brightness"] = "brightness"


class Contrast(_Light):
    """Blend with the image's mean grey, factor from 1 - amount to 1 + amount; in logit, scale."""

    name: Literal["contrast"] = "contrast"


class Saturation(_Step):
    """Blend with the grey image, factor from 1 - amount to 1 + amount."""

    neutral = {"amount": 0.0}

    name: Literal["saturation"] = "saturation"
    amount: Amount = 0.2


class Hue(_Step):
    """Turn all hues by an angle from -amount to amount of a full turn."""

    neutral = {"amount": 0.0}

    name: Literal["hue"] = "hue"
    amount: float = Field(0.05, ge=0, le=0.5)


class Lighting(_Step):
    """Shift along ImageNet's principal colours by normal shares (AlexNet, section 4.1)."""

    neutral = {"std": 0.0}

    name: Literal["lighting"] = "lighting"
    std: float = Field(0.1, ge=0, le=10)


class Noise(_Step):
    """Add normal noise to every value; ``std`` as a share of the full range."""

    neutral = {"std": 0.0}

    name: Literal["noise"] = "noise"
    std: float = Field(0.05, ge=0, le=1)


class RandomErasing(_Step):
    """Fill a random rectangle with random pixels (arXiv:1708.04896)."""

    name: Literal["random_erasing"] = "random_erasing"
    p: Probability = 0.5
    area: Area = [0.02, 0.4]
    ratio: Ratio = [0.3, 10 / 3]


Step = Union[
    RandomCrop,
    RandomResizedCrop,
    Mirror,
    Flip,
    Dihedral,
    Rotate,
    Zoom,
    Warp,
    Brightness,
    Contrast,
    Saturation,
    Hue,
    Lighting,
    Noise,
    RandomErasing,
]
Augmentation = Annotated[Step, Field(discriminator="name")]
AUGMENTATIONS = tuple(step.model_fields["name"].default for step in get_args(Step))
