"""How long a step of data-parallel training takes, and what limits it.

The formulas; b is the batch of each GPU, n the number of GPUs, in m machines of g:

    compute       = b / rate                       forward and backward on one GPU
    backward      = 2/3 compute                    it has twice the operations of forward
    gradient      = 4 bytes x parameters           gradients are float32 in mixed precision too
    ring(S, n, L) = 2 (n-1)/n x S / bandwidth(L) + 2 ceil(log2 n) x latency(L)
    all-reduce(S) = ring(S, g, inside a machine) + ring(S, m, between machines)
    buckets       = the gradient in parts of 25 MiB and a rest, all-reduced one after the other
    ready(i)      = backward x (bytes of buckets 1 to i) / gradient
    end(i)        = max(ready(i), end(i-1)) + all-reduce(bucket i)
    exposed       = end(last) - backward           what the backward pass does not hide;
                    the sum of all all-reduces where nothing overlaps
    copy          = b x bytes of a decoded image / bandwidth of the bus
    decode        = b / (cores per GPU x decoded images per second and core)
    read          = b x bytes of a file / (reading bandwidth of the machine / g)
    step          = max(compute + exposed, copy, decode, read)
    images/s      = n x b / step
    efficiency    = images/s / (n x images/s of one GPU with the same batch)
    epoch         = ceil(images / (n x b)) x step + seconds between epochs

Copying, decoding and reading prepare the next batches while a GPU computes, so only the slowest of
them counts. Left out: GPUs that wait for the slowest one, the lower rate of small batches, and
other traffic on the network. The update of the weights is part of the measured rates.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

BYTES_PER_GRADIENT = 4
BUCKET_BYTES = 25 * 2**20  # DistributedDataParallel's bucket_cap_mb
BACKWARD_SHARE = 2 / 3
READ_BYTES = 4 * 2**20  # of a shard at a time


@dataclass(frozen=True)
class Network:
    """A network, and how one GPU trains it.

    ``rate`` is in images per second, ``batch`` in images.
    """

    name: str
    parameters: int
    rate: float
    batch: int

    @property
    def gradient_bytes(self) -> int:
        """The bytes that every step has to all-reduce."""
        return BYTES_PER_GRADIENT * self.parameters


@dataclass(frozen=True)
class Link:
    """What connects the members of an all-reduce.

    ``bandwidth`` is NCCL's bus bandwidth in bytes per second, ``latency`` is in seconds per hop.
    """

    name: str
    bandwidth: float
    latency: float

    def all_reduce_seconds(self, volume: float, members: int) -> float:
        """The time of an all-reduce of ``volume`` bytes among ``members``."""
        if members == 1:
            return 0.0
        hops = 2 * math.ceil(math.log2(members))
        return 2 * (members - 1) / members * volume / self.bandwidth + hops * self.latency


@dataclass(frozen=True)
class Machine:
    """A machine: bandwidths in bytes per second, that of the bus for each GPU."""

    gpus: int
    cores: int
    inside: Link
    bus_bandwidth: float
    read_bandwidth: float


@dataclass(frozen=True)
class Images:
    """Images as files and as uint8 on the way to a GPU, and the speed of decoding them."""

    file_bytes: float
    decoded_bytes: int
    decoded_per_core: float


@dataclass(frozen=True)
class Cluster:
    """Equal machines. Fewer GPUs than a machine has are one machine with their share of it."""

    gpus: int
    machine: Machine
    between: Link

    @property
    def gpus_per_machine(self) -> int:
        """The GPUs that a machine lends to this job."""
        return min(self.gpus, self.machine.gpus)

    @property
    def machines(self) -> int:
        """The number of machines."""
        return math.ceil(self.gpus / self.machine.gpus)

    def all_reduce_seconds(self, volume: float) -> float:
        """The time of an all-reduce of ``volume`` bytes among all GPUs."""
        inside = self.machine.inside.all_reduce_seconds(volume, self.gpus_per_machine)
        return inside + self.between.all_reduce_seconds(volume, self.machines)


@dataclass(frozen=True)
class Step:
    """The seconds of a step of all GPUs, by part."""

    images: int
    compute: float
    all_reduce: float
    exposed: float
    copy: float
    decode: float
    read: float

    @property
    def seconds(self) -> float:
        """The time from one step to the next."""
        return max(self.compute + self.exposed, self.copy, self.decode, self.read)

    @property
    def images_per_second(self) -> float:
        """The rate of all GPUs together."""
        return self.images / self.seconds


def split_into_buckets(volume: float, bucket: float = BUCKET_BYTES) -> list[float]:
    """The sizes in bytes of the buckets: all equal to ``bucket`` but the last."""
    full = int(volume // bucket)
    rest = volume - full * bucket
    return [bucket] * full + ([rest] if rest > 0 else [])


def exposed_seconds(
    backward: float, buckets: Sequence[float], durations: Sequence[float], overlap: bool = True
) -> float:
    """How much longer than the backward pass the all-reduces of its buckets take.

    ``buckets`` are in bytes, in the order in which the backward pass fills them; ``durations`` are
    the seconds of their all-reduces.
    """
    if not overlap:
        return sum(durations)
    end = filled = 0.0
    for size, duration in zip(buckets, durations):
        filled += size
        ready = backward * filled / sum(buckets)
        end = max(ready, end) + duration
    return max(0.0, end - backward)


def simulate_step(
    network: Network,
    cluster: Cluster,
    images: Images,
    batch: int | None = None,
    overlap: bool = True,
) -> Step:
    """A step with ``batch`` images per GPU, by default those of the network."""
    batch = batch or network.batch
    machine, compute = cluster.machine, batch / network.rate
    buckets = split_into_buckets(network.gradient_bytes)
    durations = [cluster.all_reduce_seconds(size) for size in buckets]
    return Step(
        images=batch * cluster.gpus,
        compute=compute,
        all_reduce=sum(durations),
        exposed=exposed_seconds(BACKWARD_SHARE * compute, buckets, durations, overlap),
        copy=batch * images.decoded_bytes / machine.bus_bandwidth,
        decode=batch / (machine.cores / machine.gpus * images.decoded_per_core),
        read=batch * images.file_bytes / (machine.read_bandwidth / machine.gpus),
    )


def efficiency(
    network: Network,
    cluster: Cluster,
    images: Images,
    batch: int | None = None,
    overlap: bool = True,
) -> float:
    """The images per second as a share of as many single GPUs."""
    step = simulate_step(network, cluster, images, batch, overlap)
    single = simulate_step(network, replace(cluster, gpus=1), images, batch, overlap)
    return step.images_per_second / (cluster.gpus * single.images_per_second)


def epoch_steps(images: int, step: Step) -> int:
    """The number of steps of an epoch; the last may be incomplete."""
    return math.ceil(images / step.images)


def epoch_seconds(images: int, step: Step, between: float) -> float:
    """The time of an epoch with the ``between`` seconds that follow it."""
    return epoch_steps(images, step) * step.seconds + between


def feasible_rate(bandwidth: float, requests: float, images: Images, sharded: bool) -> float:
    """The images per second that a storage delivers.

    One request reads a file, or READ_BYTES of a shard where the images are ``sharded``.
    """
    images_per_request = READ_BYTES / images.file_bytes if sharded else 1.0
    return min(bandwidth / images.file_bytes, requests * images_per_request)
