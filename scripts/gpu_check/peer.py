"""A training step in the manner of torchvision's recipe, written without this project's code.

ResNet-50 in channels_last, bfloat16 autocast, torch.compile, SGD with momentum, and a DataLoader
whose processes decode the same images: short side 256, random crop 224, mirror. Pixels are
normalised on the device.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from fashionai.runtime import usable_cores
from gpu_check.kit import CLASSES
from gpu_check.plan import Measurement, Plan
from gpu_check.speed import StepTimer
from gpu_check.worker import Context

TYPES = {"bfloat16": torch.bfloat16, "float16": torch.float16}
# Batches that each process of the DataLoader loads ahead.
PREFETCH = 2
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class Photos(torch.utils.data.Dataset):
    """Repeated images as ``(3, crop, crop) uint8`` with a class."""

    def __init__(self, paths: list[Path], plan: Plan) -> None:
        self._paths, self._resize, self._crop = paths, plan.resize_short, plan.crop

    def __len__(self) -> int:
        return 200_000

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        image = Image.open(self._paths[index % len(self._paths)]).convert("RGB")
        scale = self._resize / min(image.size)
        width, height = (max(self._crop, round(side * scale)) for side in image.size)
        image = image.resize((width, height), Image.Resampling.BILINEAR)
        left, top = random.randint(0, width - self._crop), random.randint(0, height - self._crop)
        image = image.crop((left, top, left + self._crop, top + self._crop))
        if random.random() < 0.5:
            image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        pixels = torch.from_numpy(np.array(image)).permute(2, 0, 1).contiguous()
        return pixels, index % len(CLASSES)


class Bottleneck(nn.Module):
    """Three convolutions around a shortcut, with the stride in the second one."""

    def __init__(self, before: int, width: int, stride: int) -> None:
        super().__init__()
        after = 4 * width
        self.layers = nn.Sequential(
            nn.Conv2d(before, width, 1, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(inplace=True),
            nn.Conv2d(width, width, 3, stride, 1, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(inplace=True),
            nn.Conv2d(width, after, 1, bias=False),
            nn.BatchNorm2d(after),
        )
        self.shortcut: nn.Module = nn.Identity()
        if stride > 1 or before != after:
            convolution = nn.Conv2d(before, after, 1, stride, bias=False)
            self.shortcut = nn.Sequential(convolution, nn.BatchNorm2d(after))
        self.activation = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        """The output of the block."""
        result: Tensor = self.activation(self.layers(x) + self.shortcut(x))
        return result


def residual_network(width: int, blocks: tuple[int, ...]) -> nn.Module:
    """ResNet-50 with width 64 and blocks 3, 4, 6, 3."""
    layers: list[nn.Module] = [
        nn.Conv2d(3, width, 7, 2, 3, bias=False),
        nn.BatchNorm2d(width),
        nn.ReLU(inplace=True),
        nn.MaxPool2d(3, 2, 1),
    ]
    before = width
    for stage, count in enumerate(blocks):
        for block in range(count):
            stride = 2 if stage and not block else 1
            layers.append(Bottleneck(before, width << stage, stride))
            before = 4 * (width << stage)
    layers += [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(before, len(CLASSES))]
    return nn.Sequential(*layers)


def measure_peer(
    context: Context, wanted: Measurement, batch: int, seconds: float
) -> dict[str, Any]:
    """The speed of the loop, and the seconds of the first step."""
    device = torch.device("cuda:0" if context.on_gpu else "cpu")
    torch.backends.cuda.matmul.allow_tf32 = wanted.precision == "tf32"
    torch.backends.cudnn.allow_tf32 = wanted.precision == "tf32"
    torch.backends.cudnn.benchmark = True
    network, note = _network(context.plan)
    network = network.to(device, memory_format=torch.channels_last).train()
    optimizer = torch.optim.SGD(network.parameters(), 0.01, momentum=0.9, weight_decay=1e-4)
    model = torch.compile(network) if wanted.compiled else network
    step = _stepper(model, optimizer, wanted, device)

    def wait() -> None:
        if context.on_gpu:
            torch.cuda.synchronize()

    timer = StepTimer(_batches(context, batch), step, wait, batch)
    loaded = PREFETCH * _processes(context)
    found: dict[str, Any] = {"note": note, "first_step_seconds": timer.warm_up(loaded)}
    found["loop"] = timer.measure(seconds)
    return found


def _network(plan: Plan) -> tuple[nn.Module, str]:
    """torchvision's network where it is installed, otherwise the same architecture."""
    own = residual_network(plan.peer_width, plan.peer_blocks), "own module of the architecture"
    if plan.name != "full":
        return own
    try:
        import torchvision
    except (ImportError, RuntimeError):
        return own
    network = torchvision.models.resnet50(num_classes=len(CLASSES))
    return network, f"torchvision {torchvision.__version__}"


def _stepper(
    model: Any, optimizer: Any, wanted: Measurement, device: torch.device
) -> Callable[[Any], Callable[[], Any]]:
    mean, std = (
        torch.tensor([255 * value for value in values], device=device).reshape(1, 3, 1, 1)
        for values in (MEAN, STD)
    )
    cross_entropy = nn.CrossEntropyLoss()
    half = TYPES.get(wanted.precision, torch.bfloat16)

    def step(batch: Any) -> Callable[[], Any]:
        images, labels = (values.to(device, non_blocking=True) for values in batch)
        images = images.contiguous(memory_format=torch.channels_last)
        with torch.autocast(device.type, dtype=half, enabled=wanted.precision in TYPES):
            loss = cross_entropy(model((images.float() - mean) / std), labels)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        if device.type != "cuda":
            return loss.item
        done = torch.cuda.Event()
        done.record()
        return done.synchronize  # type: ignore[no-any-return]

    return step


def _batches(context: Context, batch: int) -> Iterator[Any]:
    loader = torch.utils.data.DataLoader(
        Photos(context.kit.photos, context.plan),
        batch,
        shuffle=True,
        num_workers=_processes(context),
        pin_memory=context.on_gpu,
        drop_last=True,
        persistent_workers=True,
        prefetch_factor=PREFETCH,
        worker_init_fn=_one_thread,
    )
    yield from itertools.chain.from_iterable(itertools.repeat(loader))


def _processes(context: Context) -> int:
    """The processes of the DataLoader, at most one per core."""
    return min(context.plan.loader_processes, usable_cores())


def _one_thread(worker: int) -> None:
    torch.set_num_threads(1)
