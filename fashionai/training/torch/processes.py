"""The processes that train one network together, and what they exchange."""

from __future__ import annotations

import atexit
import contextlib
import functools
import gc
import itertools
import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import timedelta
from typing import Optional

import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor
from torch.distributed.nn.functional import all_reduce

from fashionai.errors import ConfigError, TrainingError, first_line, shown
from fashionai.frameworks.processes import Place, current_place, patience_seconds
from fashionai.models.torch.layers import SharedSums
from fashionai.training.batches.shares import WHOLE, Share
from fashionai.training.interrupt import Stopped
from fashionai.training.torch.attempts import store_of_attempt

# A process that does not answer for this many seconds within a step has died or hangs. torchrun
# waits for half a minute more before it kills a process that hangs; all of it is to take less than
# a minute.
PATIENCE = 20.0
# Before the first step and between epochs, one process may read or write files, or have slower
# images to validate. After a short epoch it may take less time: see Processes.between_steps.
LONGEST_BETWEEN_STEPS = 300.0
# Machines may begin at different times.
JOINING = timedelta(minutes=10)
# A step that compiles may take this long: some processes find the result in a cache, others do not.
COMPILING = timedelta(minutes=30)
# Work that one process does for all of its machine may take this long.
LONG_PATIENCE = timedelta(hours=12)
# Stands for the value of a key that another schedule or augmentation does not have.
NOT_SET = "not set"
# What is told about a block that is entered in turn.
DONE, STOPPED, FAILED = "done", "stopped", "failed"
# Numbers of blocks that are entered in turn: the store keeps what was told about earlier ones.
_TURNS = itertools.count(1)
# PyTorch's settings of NCCL. A process that waits in vain marks the store, which outlasts a
# restart: the processes of the next attempt would find the mark and abort themselves after 8
# minutes. Before it ends, it would also wait for a minute while records are written.
NCCL_SETTINGS = {
    "TORCH_NCCL_DUMP_ON_TIMEOUT": "0",
    "TORCH_NCCL_WAIT_TIMEOUT_DUMP_MILSEC": "500",
}


class Processes:
    """This process and the others that train with it; alone by default."""

    def __init__(self, share: Share = WHOLE, device: str = "cpu") -> None:
        self.share, self._device = share, torch.device(device)
        # When the processes last met between steps, and the longest time between two meetings.
        self._met, self._longest = time.monotonic(), LONGEST_BETWEEN_STEPS

    @property
    def is_alone(self) -> bool:
        """Whether there is no other process."""
        return self.share.count == 1

    def sum(self, tensor: Tensor) -> None:
        """Replace a tensor by its sum over processes; the device computes it without waiting."""
        if not self.is_alone:
            dist.all_reduce(tensor)

    def shared_sums(self) -> Optional[SharedSums]:
        """How layers add values over processes, with gradients; None for one process."""
        return None if self.is_alone else SharedSums(all_reduce, self.share.count)

    def copy_first(self, tensors: Iterable[Tensor]) -> None:
        """Give all processes the values of the first one."""
        if self.is_alone:
            return
        with self.between_steps(), torch.no_grad():
            for tensor in tensors:
                values = tensor.detach().contiguous()
                dist.broadcast(values, 0)
                tensor.copy_(values)

    def content_of_first(self, content: Optional[bytes]) -> Optional[bytes]:
        """The content that the first process has, for every process."""
        if self.is_alone:
            return content
        with self.between_steps():
            return self._broadcast(content)

    def _broadcast(self, content: Optional[bytes]) -> Optional[bytes]:
        sizes = torch.tensor([-1 if content is None else len(content)], device=self._device)
        dist.broadcast(sizes, 0)
        size = int(sizes)
        if size < 0:
            return None
        values = np.frombuffer(content, np.uint8) if content else np.zeros(size, np.uint8)
        sent = torch.from_numpy(np.array(values)).to(self._device)
        dist.broadcast(sent, 0)
        return sent.cpu().numpy().tobytes()

    def rows_of_all(self, rows: np.ndarray) -> np.ndarray:
        """The rows ``(N, C)`` of all processes one after the other, for every process."""
        if self.is_alone:
            return rows
        with self.between_steps():
            counts = self._gather(torch.tensor([len(rows)], device=self._device))
            padded = np.zeros((int(counts.max()), rows.shape[1]), rows.dtype)
            padded[: len(rows)] = rows
            found = self._gather(torch.from_numpy(padded).to(self._device)).cpu().numpy()
        return np.concatenate([part[: int(count)] for part, count in zip(found, counts)])

    def rows_unless_stopped(self, compute: Callable[[], np.ndarray]) -> np.ndarray:
        """The rows ``(N, C)`` that ``compute`` gives in all processes, one after the other.

        Raises Stopped in all processes if it does in one.
        """
        if self.is_alone:
            return compute()
        rows = None
        with contextlib.suppress(Stopped):
            rows = compute()
        # The others may not have been asked to stop, and compute all of their rows.
        waiting = self._patient(LONG_PATIENCE) if rows is None else self.between_steps()
        with waiting:
            stopped = self._gather(torch.tensor([rows is None], device=self._device))
        if rows is None or bool(stopped.any()):
            raise Stopped
        return self.rows_of_all(rows)

    def _gather(self, tensor: Tensor) -> Tensor:
        """The tensors of all processes, which have one shape, stacked."""
        found = [torch.empty_like(tensor) for _ in range(self.share.count)]
        dist.all_gather(found, tensor)
        return torch.stack(found)

    def check_same(self, values: Mapping[str, str]) -> None:
        """Raise ConfigError unless all processes have these values, named by what they are."""
        if self.is_alone:
            return
        everyone: list[tuple[str, dict[str, str]]] = [("", {})] * self.share.count
        with self.between_steps():
            dist.all_gather_object(everyone, (str(current_place()), dict(values)))
        (first, expected), *others = everyone
        for place, found in others:
            for name in {**expected, **found}:
                value, other = found.get(name, NOT_SET), expected.get(name, NOT_SET)
                if value != other:
                    raise ConfigError(
                        f"{place}: {name} is {shown(value)}, on {first} {shown(other)}",
                        "All processes need the same",
                    )

    @contextlib.contextmanager
    def in_turn(self) -> Iterator[None]:
        """Let the first process of each machine finish the block before the others begin it.

        All processes leave together, because steps do not wait for a slow machine that long.
        When the block of one raises, all do: Stopped if it does, otherwise TrainingError.
        """
        if self.is_alone:
            yield
            return
        store = dist.distributed_c10d._get_default_store()
        turn = next(_TURNS)
        key = f"turn/{os.environ.get('GROUP_RANK', os.uname().nodename)}/{turn}"
        everyone, is_first = f"turn/all/{turn}", not current_place().local_rank
        outcome = DONE
        try:
            if not is_first:
                _await_done(store, key)
            yield
        except Stopped:
            outcome = STOPPED
            store.set(f"{everyone}/stopped", STOPPED)
        except BaseException:
            # Else the others would wait as long as their patience lasts.
            with contextlib.suppress(RuntimeError):  # the store may have ended
                store.set(key, FAILED)
                store.set(everyone, FAILED)
            raise
        if is_first:
            store.set(key, outcome)
        if store.add(f"{everyone}/count", 1) == self.share.count:
            some_stopped = store.check([f"{everyone}/stopped"])
            store.set(everyone, STOPPED if some_stopped else DONE)
        _await_done(store, everyone)

    def leave(self) -> None:
        """Disconnect from the others at the end, when all processes have finished.

        A launcher may end all of them as soon as one has ended, while another writes files.
        """
        if self.is_alone:
            return
        with self._patient(_seconds(LONGEST_BETWEEN_STEPS)):
            self._gather(torch.zeros(1, device=self._device)).cpu()
        _leave()

    def compiling(self) -> contextlib.AbstractContextManager[None]:
        """While in this context, another process may take as long as compiling a step does."""
        return self._patient(COMPILING)

    @contextlib.contextmanager
    def between_steps(self) -> Iterator[None]:
        """While in this context, another process may take longer than in a step.

        It may take as long as the steps or the validation of this epoch did in this process.
        """
        self._longest = max(self._longest, time.monotonic() - self._met)
        with self._patient(_seconds(min(max(self._longest, PATIENCE), LONGEST_BETWEEN_STEPS))):
            yield
        self._met = time.monotonic()

    @contextlib.contextmanager
    def first_step(self) -> Iterator[None]:
        """The same for the first step after other work: the files of an epoch are written."""
        with self.between_steps():
            yield
        self._longest = 0.0

    @contextlib.contextmanager
    def _patient(self, patience: timedelta) -> Iterator[None]:
        if self.is_alone:
            yield
            return
        _set_patience(patience)
        yield
        _set_patience(_seconds(PATIENCE))


def join_processes(device: torch.device) -> Processes:
    """Connect this process with the others that torchrun or SLURM has started, once.

    Raises ConfigError when they do not find each other.
    """
    place = current_place()
    if place.count == 1:
        return Processes()
    if not dist.is_initialized():
        _initialize(place, device)
    _set_patience(_seconds(PATIENCE))
    return Processes(Share(place.rank, place.count), str(device))


def _leave() -> None:
    """End the connection and its threads: Python aborts when it ends while they run."""
    if dist.is_initialized():
        dist.destroy_process_group()


def is_of_connection(error: Exception) -> bool:
    """Whether an error says that another process is gone or does not answer.

    gloo's errors have no class of their own; they begin with the name of its file.
    """
    return isinstance(error, dist.DistError) or "gloo" in str(error)


def lost_process_error(error: Exception) -> TrainingError:
    """What to tell about an error of the connection."""
    reason, _, _ = first_line(error).rpartition("] ")[2].partition(". ")
    return TrainingError(
        f"{current_place()}: another process has ended or does not answer ({reason})",
        "Start all of them again with --resume",
    )


def _initialize(place: Place, device: torch.device) -> None:
    backend = "gloo"
    if device.type == "cuda":
        torch.cuda.set_device(device)
        backend = "nccl"
        for name, value in NCCL_SETTINGS.items():
            os.environ.setdefault(name, value)
    rank, count = place.rank, place.count
    try:
        store = store_of_attempt(_shared_store(rank, count), rank, count, JOINING)
        dist.init_process_group(backend, rank=rank, world_size=count, store=store, timeout=JOINING)
    except (RuntimeError, ValueError) as error:
        raise ConfigError(
            f"{place}: the processes do not find each other ({first_line(error)})"
        ) from error
    # Python's last collection takes seconds, and the launcher soon kills a process that is ending.
    atexit.register(gc.freeze)
    if backend == "gloo":
        # NCCL's own end may wait for processes that are gone.
        atexit.register(_leave)


@functools.cache
def _shared_store(rank: int, count: int) -> dist.Store:
    """The store that the launcher names; kept, because it may be the first process's own.

    A process that joins a second time would else find the one that is just ending.
    """
    store, _, _ = next(dist.rendezvous("env://", rank, count, timeout=JOINING))
    return store


def _set_patience(patience: timedelta) -> None:
    dist.distributed_c10d._set_pg_timeout(patience, dist.group.WORLD)


def _seconds(default: float) -> timedelta:
    return timedelta(seconds=patience_seconds(default))


def _await_done(store: dist.Store, key: str) -> None:
    """Wait until a key of the store is set; raises what has happened to another process."""
    store.wait([key], LONG_PATIENCE)
    outcome = store.get(key).decode()
    if outcome == STOPPED:
        raise Stopped
    if outcome == FAILED:
        raise TrainingError(
            f"{current_place()}: another process has failed",
            "Start all of them again with --resume",
        )
