"""The steps of ``data.augment``: every step has its probability ``p`` and its own strength.

The crop is always taken first. Of several crop steps that are applied, the last one
counts; without one the crop is central. Then the geometric steps (mirror to warp, and the
geometric operations of rand_augment and trivial_augment) are applied in the order of the list, all
in one sampling of the image, and then the steps of colour, noise and erasing in their order.
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
AreaShare = Annotated[float, Field(ge=0.001, le=1)]
Area = Annotated[list[AreaShare], Field(min_length=2, max_length=2), AfterValidator(_rising)]
Scale = Annotated[float, Field(ge=0.1, le=10)]
Ratio = Annotated[list[Scale], Field(min_length=2, max_length=2), AfterValidator(_rising)]
Amount = Annotated[float, Field(ge=0, lt=1)]


class _Step(Section):
    """What all steps have; ``neutral`` holds the strength at which a step changes nothing."""

    neutral: ClassVar[Mapping[str, object]] = {}

    name: str
    p: Probability = Field(1.0, description="Probability of the step.")

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
    area: Area = Field([0.08, 1.0], description="Least and largest share of the area.")
    ratio: Ratio = Field([0.75, 4 / 3], description="Least and largest aspect ratio.")


class Mirror(_Step):
    """Swap left and right."""

    name: Literal["mirror"] = "mirror"
    p: Probability = Field(0.5, description="Probability of the step.")


class Flip(_Step):
    """Swap top and bottom."""

    name: Literal["flip"] = "flip"
    p: Probability = Field(0.5, description="Probability of the step.")


class Dihedral(_Step):
    """Apply one of the eight flips and turns by 90 degrees, all equally likely."""

    name: Literal["dihedral"] = "dihedral"


class Rotate(_Step):
    """Turn about the centre; the border is mirrored."""

    neutral = {"degrees": 0.0}

    name: Literal["rotate"] = "rotate"
    degrees: float = Field(10.0, ge=0, le=180, description="Largest angle to either side.")


class Zoom(_Step):
    """Enlarge about the centre; the border is mirrored."""

    neutral = {"factor": [1.0, 1.0]}

    name: Literal["zoom"] = "zoom"
    factor: Ratio = Field(
        [1.0, 1.1], description="Least and largest factor; below 1 the image shrinks."
    )


class Warp(_Step):
    """Tilt the image in perspective; the border is mirrored."""

    neutral = {"magnitude": 0.0}

    name: Literal["warp"] = "warp"
    # From 0.5 on the corners may not span a square seen in perspective any more.
    magnitude: float = Field(
        0.2, ge=0, lt=0.5, description="Largest change of a side, as a share of its length."
    )


class _Light(_Step):
    """What brightness and contrast share."""

    neutral = {"amount": 0.0}

    amount: Amount = Field(0.2, description="The factor lies from 1 - amount to 1 + amount.")
    space: Literal["linear", "logit"] = Field(
        "linear",
        description="`linear`: pixel values; `logit`: ln(v / (1 - v)) of values v in 0..1, as in "
        "fastai.",
    )


class Brightness(_Light):
    """Multiply by a factor; in logit space, shift."""

    name: Literal["brightness"] = "brightness"


class Contrast(_Light):
    """Blend with the image's mean grey by a factor; in logit space, scale."""

    name: Literal["contrast"] = "contrast"


class Saturation(_Step):
    """Blend with the grey image by a factor."""

    neutral = {"amount": 0.0}

    name: Literal["saturation"] = "saturation"
    amount: Amount = Field(0.2, description="The factor lies from 1 - amount to 1 + amount.")


class Hue(_Step):
    """Turn all hues by one angle."""

    neutral = {"amount": 0.0}

    name: Literal["hue"] = "hue"
    amount: float = Field(
        0.05, ge=0, le=0.5, description="Largest angle to either side, as a share of a full turn."
    )


class Lighting(_Step):
    """Shift along the principal colours of ImageNet (AlexNet, section 4.1)."""

    neutral = {"std": 0.0}

    name: Literal["lighting"] = "lighting"
    std: float = Field(
        0.1, ge=0, le=10, description="Standard deviation of the shift, per principal colour."
    )


class Noise(_Step):
    """Add normal noise to every value."""

    neutral = {"std": 0.0}

    name: Literal["noise"] = "noise"
    std: float = Field(
        0.05, ge=0, le=1, description="Standard deviation as a share of the full range."
    )


class RandomErasing(_Step):
    """Fill a random rectangle with random pixels (arXiv:1708.04896)."""

    name: Literal["random_erasing"] = "random_erasing"
    p: Probability = Field(0.5, description="Probability of the step.")
    area: Area = Field([0.02, 0.4], description="Least and largest share of the area.")
    ratio: Ratio = Field([0.3, 10 / 3], description="Least and largest aspect ratio.")


class RandAugment(_Step):
    """Apply operations drawn at random, all of one magnitude (arXiv:1909.13719)."""

    name: Literal["rand_augment"] = "rand_augment"
    layers: int = Field(2, ge=1, le=20, description="Number of operations.")
    magnitude: float = Field(9.0, ge=0, le=30, description="Magnitude of the operations.")
    deviation: float = Field(
        0.0, ge=0, le=30, description="Standard deviation of the magnitude, drawn each time."
    )


class TrivialAugment(_Step):
    """Apply one operation of any magnitude, drawn at random, wide (arXiv:2103.10158)."""

    name: Literal["trivial_augment"] = "trivial_augment"


class AugMix(_Step):
    """Mix the image with chains of one to three operations drawn at random (arXiv:1912.02781)."""

    name: Literal["aug_mix"] = "aug_mix"
    severity: int = Field(3, ge=1, le=10, description="Largest magnitude of the operations.")
    width: int = Field(3, ge=1, le=20, description="Number of chains.")
    alpha: float = Field(
        1.0, gt=0, le=100, description="Parameter of the distributions of the weights."
    )


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
    RandAugment,
    TrivialAugment,
    AugMix,
]
Augmentation = Annotated[Step, Field(discriminator="name")]
AUGMENTATIONS = tuple(step.model_fields["name"].default for step in get_args(Step))
