"""Reads image files as torchvision's recipes do: Pillow, its transforms and a DataLoader."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torchvision.transforms as T  # noqa: N812 - the alias of its own examples
from torchvision.datasets.folder import default_loader

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
PROCESSES = 2


class Files(torch.utils.data.Dataset):
    """Image files after a transform."""

    def __init__(self, files: Sequence[str], transform: Any) -> None:
        self._files, self._transform = files, transform

    def __len__(self) -> int:
        return len(self._files)

    def __getitem__(self, row: int) -> torch.Tensor:
        return self._transform(default_loader(self._files[row]))


# The augmentation policies by the names that this project gives them.
POLICIES = {
    "rand_augment": T.RandAugment,
    "trivial_augment": T.TrivialAugmentWide,
    "aug_mix": T.AugMix,
}


def training_transform(policy: str = "") -> Any:
    """Resize to 256, crop 224 pixels at random, mirror, augment by a policy, and normalise."""
    return T.Compose(
        [
            T.Resize(256),
            T.RandomCrop(224),
            T.RandomHorizontalFlip(),
            *([POLICIES[policy]()] if policy else []),
            T.ToTensor(),
            T.Normalize(MEAN, STD),
        ]
    )


def ten_crop_transform() -> Any:
    """Resize to 256, take ten crops of 224 and normalise: ``(10, 3, 224, 224) float32``."""
    normalize = T.Compose([T.ToTensor(), T.Normalize(MEAN, STD)])
    return T.Compose(
        [
            T.Resize(256),
            T.TenCrop(224),
            T.Lambda(lambda crops: torch.stack([normalize(crop) for crop in crops])),
        ]
    )


def loader(images: Any, batch_size: int, **options: Any) -> Any:
    """A DataLoader with two processes that stay alive and idle between epochs."""
    return torch.utils.data.DataLoader(
        images, batch_size, num_workers=PROCESSES, persistent_workers=True, **options
    )
