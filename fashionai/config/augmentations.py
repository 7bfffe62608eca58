"""The steps of ``data.augment``: every step has its probability ``p`` and its own strength.

Crops and geometric steps (mirror to warp) become one sampling of the image, in
the order of the list; steps of colour and noise follow in theirs.
"""

from __future__ import annotations

from typing import Annotated, Literal, Union, get_args

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


class RandomCrop(Section):
    """Cut the crop at a random place instead of the centre."""

    name: Literal["random_crop"] = "random_crop"
    p: Probability = 1.0


class RandomResizedCrop(Section):
    """Cut a random share of the image's area at a random aspect ratio (arXiv:1409.4842)."""

    name: Literal["random_resized_crop"] = "random_resized_crop"
    p: Probability = 1.0
    area: Area = [0.08, 1.0]
    ratio: Ratio = [0.75, 4 / 3]


class Mirror(Section):
    """Swap left and right."""

    name: Literal["mirror"] = "mirror"
    p: Probability = 0.5


class Flip(Section):
    """Swap top and bottom."""

    name: Literal["flip"] = "flip"
    p: Probability = 0.5


class Dihedral(Section):
    """One of the eight flips and turns by 90 degrees, each as likely."""

    name: Literal["dihedral"] = "dihedral"
    p: Probability = 1.0


class Rotate(Section):
    """Turn by an angle drawn from -degrees to degrees."""

    name: Literal["rotate"] = "rotate"
    p: Probability = 1.0
    degrees: float = Field(10.0, ge=0, le=180)


class Zoom(Section):
    """Enlarge by a factor drawn from the two given; below 1 shrinks."""

    name: Literal["zoom"] = "zoom"
    p: Probability = 1.0
    factor: Ratio = [1.0, 1.1]


class Warp(Section):
    """Tilt the image in perspective, both ways, by up to ``magnitude`` of its half side."""

    name: Literal["warp"] = "warp"
    p: Probability = 1.0
    magnitude: float = Field(0.2, ge=0, le=0.9)


class _Light(Section):
    """``space`` linear works on pixel values, logit on ln(v / (1 - v)) of values v in 0..1."""

    p: Probability = 1.0
    amount: Amount = 0.2
    space: Literal["linear", "logit"] = "linear"


class Brightness(_Light):
    """Multiply by a factor from 1 - amount to 1 + amount; in logit space, shift."""

    name: Literal["brightness"] = "brightness"


class Contrast(_Light):
    """Blend with the image's mean grey, factor from 1 - amount to 1 + amount; in logit, scale."""

    name: Literal["contrast"] = "contrast"


class Saturation(Section):
    """Blend with the grey image, factor from 1 - amount to 1 + amount."""

    name: Literal["saturation"] = "saturation"
    p: Probability = 1.0
    amount: Amount = 0.2


class Hue(Section):
    """Turn all hues by an angle from -amount to amount of a full turn."""

    name: Literal["hue"] = "hue"
    p: Probability = 1.0
    amount: float = Field(0.05, ge=0, le=0.5)


class Lighting(Section):
    """Shift along ImageNet's principal colours by normal shares (AlexNet, section 4.1)."""

    name: Literal["lighting"] = "lighting"
    p: Probability = 1.0
    std: float = Field(0.1, ge=0, le=10)


class Noise(Section):
    """Add normal noise to every value; ``std`` as a share of the full range."""

    name: Literal["noise"] = "noise"
    p: Probability = 1.0
    std: float = Field(0.05, ge=0, le=1)


class RandomErasing(Section):
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
