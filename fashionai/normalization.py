"""The mean and the standard deviation that networks expect of their input."""

from __future__ import annotations

from collections.abc import Sequence

# A number for each of red, green and blue, of pixels scaled to 0..1.
Channels = Sequence[float]

# Of the training images of ImageNet, as torchvision and GluonCV have them.
IMAGENET_MEAN: Channels = (0.485, 0.456, 0.406)
IMAGENET_STD: Channels = (0.229, 0.224, 0.225)
