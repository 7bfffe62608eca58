"""The forward pass of images through a network of PyTorch on one device."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Optional

import numpy as np
import torch
from torch import Tensor, nn

from fashionai.frameworks.devices import Device
from fashionai.models.views import (
    IMAGES_PER_THREAD,
    Pending,
    mean_over_views,
    probabilities_of,
    rows_at_once,
)
from fashionai.pipeline.augmentation.mixing import Mixing

# Types in which a GPU may compute; parameters, batch normalisation and loss stay float32.
HALF_TYPES = {"bfloat16": torch.bfloat16, "float16": torch.float16}


def torch_device(device: Device) -> torch.device:
    """PyTorch's name of a device."""
    return torch.device("cpu" if device.device_type == "cpu" else f"cuda:{device.device_id}")


def set_precision(precision: str) -> None:
    """Let matrix products and convolutions of float32 use TensorFloat-32, or not.

    This holds for the whole process.
    """
    allowed = precision == "tf32"
    torch.backends.cuda.matmul.allow_tf32 = allowed
    torch.backends.cudnn.allow_tf32 = allowed


def precision_context(precision: str, device: torch.device) -> Any:
    """A context in which layers compute in bfloat16 or float16, where that is wanted."""
    if precision not in HALF_TYPES:
        return contextlib.nullcontext()
    return torch.autocast(device.type, dtype=HALF_TYPES[precision])


class Normalize(nn.Module):
    """Normalises images: ``(B, H, W, 3) uint8`` RGB to ``(B, 3, H, W) float32``.

    The output is (x / 255 - mean) / std, in the layout channels_last.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, mean: Sequence[float], std: Sequence[float]) -> None:
        super().__init__()
        for name, values in (("mean", mean), ("std", std)):
            scaled = torch.tensor([255 * value for value in values]).reshape(1, 3, 1, 1)
            self.register_buffer(name, scaled, persistent=False)

    def forward(self, images: Tensor) -> Tensor:
        """The normalised batch."""
        return (images.permute(0, 3, 1, 2).float() - self.mean) / self.std


def mix(inputs: Tensor, mixing: Optional[tuple[Tensor, Tensor]]) -> Tensor:
    """Mix normalised images; ``mixing`` is partners ``(B,)`` and weights ``(1, 1, H, W)``."""
    if mixing is None:
        return inputs
    partners, weights = mixing
    return weights * inputs + (1 - weights) * inputs[partners]


class Uploads:
    """Copies arrays to a device while that computes."""

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self._stream = torch.cuda.Stream(device) if device.type == "cuda" else None

    def copy(self, values: np.ndarray) -> Tensor:
        """An array on the device. It may be changed afterwards."""
        if self._stream is None:
            return torch.from_numpy(np.array(values))
        own = np.require(values, requirements=["C", "W"])
        pinned = torch.from_numpy(own).pin_memory()
        with torch.cuda.stream(self._stream):
            copied = pinned.to(self.device, non_blocking=True)
        current = torch.cuda.current_stream(self.device)
        current.wait_stream(self._stream)
        # The memory may be used again only after the current stream has read it.
        copied.record_stream(current)
        return copied

    def mixing(self, mixing: Optional[Mixing]) -> Optional[tuple[Tensor, Tensor]]:
        """The partners and weights of a mixing on the device."""
        if mixing is None:
            return None
        return self.copy(mixing.partners), self.copy(mixing.weights)


def download(values: Tensor) -> Callable[[], np.ndarray]:
    """Start to copy a tensor to the CPU; call the result to wait for it."""
    if values.device.type == "cpu":
        return values.detach().numpy
    copied = values.detach().to("cpu", non_blocking=True)
    done = torch.cuda.Event()
    done.record(torch.cuda.current_stream(values.device))

    def read() -> np.ndarray:
        done.synchronize()
        return copied.numpy()

    return read


class TorchForward:
    """A module of PyTorch in evaluation, for batches of its direct input.

    ``normalize`` comes before it. ``columns`` holds one slice of the output per task, whose
    softmax is computed for each task separately.
    """

    def __init__(
        self,
        network: nn.Module,
        normalize: nn.Module,
        device: Device,
        columns: Sequence[slice],
        precision: str = "float32",
    ) -> None:
        self._network, self._normalize = network, normalize
        self._device = torch_device(device)
        self._uploads = Uploads(self._device)
        self._columns, self._precision = list(columns), precision

    def outputs(self, inputs: np.ndarray) -> Pending:
        """Start to compute the float32 outputs of inputs ``(N, ...)``; call the result for them."""
        size = len(inputs)
        if self._device.type == "cpu":
            size = rows_at_once(size, IMAGES_PER_THREAD, torch.get_num_threads())
        starts = range(0, len(inputs), max(1, size))
        reads = [download(self._compute(inputs[start : start + size])) for start in starts]
        return lambda: np.concatenate([read() for read in reads])

    def _compute(self, inputs: np.ndarray) -> Tensor:
        was_training = self._network.training
        self._network.eval()
        try:
            with torch.inference_mode(), precision_context(self._precision, self._device):
                result: Tensor = self._network(self._normalize(self._uploads.copy(inputs))).float()
                return result
        finally:
            self._network.train(was_training)

    def begin(self, inputs: np.ndarray) -> Pending:
        """Start to compute the probabilities of inputs ``(N, ...)``; call the result for them.

        They are ``(N, C) float64``. The columns of each task sum to 1.
        """
        outputs = self.outputs(inputs)
        return lambda: probabilities_of(outputs(), self._columns)

    def probabilities(self, batches: Iterable[np.ndarray], batch_size: int) -> np.ndarray:
        """Probabilities ``(N, C) float64`` of all rows of the batches, see mean_over_views."""
        found = list(mean_over_views(self.begin, batches, batch_size))
        return np.concatenate(found) if found else np.zeros((0, self._columns[-1].stop))
