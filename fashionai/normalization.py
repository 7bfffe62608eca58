"""The usual input of networks: mean, standard deviation, the share of an image, and its size."""

from __future__ import annotations

from collections.abc import Sequence

# One number per channel (red, green, blue), for pixel values in [0, 1].
Channels = Sequence[float]

# The statistics of ImageNet's training images that torchvision and GluonCV use.
IMAGENET_MEAN: Channels = (0.485, 0.456, 0.406)
IMAGENET_STD: Channels = (0.229, 0.224, 0.225)
# The share of an image's resized short side that the networks of ImageNet usually see: 224 of 256.
IMAGENET_CROP_FRACTION = 0.875

# The sides in pixels that resized images and crops may have.
SMALLEST_SIDE, LARGEST_SIDE = 8, 4096
