"""The processes that train one network together, and what they exchange."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta

import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor

from fashionai.training.batches.shares import Share

# A process that does not answer for this long has died or hangs.
PATIENCE = timedelta(seconds=50)


class Processes:
    """This process and the others that train with it; alone by default."""

    def __init__(self, share: Share = Share(0, 1)) -> None:  # noqa: B008 - a constant
        self.share = share

    @property
    def is_alone(self) -> bool:
        """Whether there is no other process."""
        return self.share.count == 1

    def sum(self, tensor: Tensor) -> None:
        """Replace a tensor by its sum over processes; the device computes it without waiting."""
        if not self.is_alone:
            dist.all_reduce(tensor)

    def copy_first(self, tensors: Iterable[Tensor]) -> None:
        """Give all processes the values of the first one."""
        if not self.is_alone:
            for tensor in tensors:
                dist.broadcast(tensor, 0)

    def rows_of_all(self, rows: np.ndarray, device: torch.device) -> np.ndarray:
        """The rows ``(N, C)`` of all processes one after the other, for every process."""
        if self.is_alone:
            return rows
        counts = [torch.zeros(1, dtype=torch.int64, device=device) for _ in range(self.share.count)]
        dist.all_gather(counts, torch.tensor([len(rows)], device=device))
        longest = max(int(count) for count in counts)
        padded = np.zeros((longest, rows.shape[1]), rows.dtype)
        padded[: len(rows)] = rows
        mine = torch.from_numpy(padded).to(device)
        found = [torch.empty_like(mine) for _ in counts]
        dist.all_gather(found, mine)
        parts = [part[: int(count)].cpu().numpy() for part, count in zip(found, counts)]
        return np.concatenate(parts)
