"""Holds the formulas of simulate_scaling.py to a measurement on the CPU.

usage: scripts/measure_scaling.py [--processes 1,2,4] [--batch N] [--rounds N] [--json FILE]

Trains a small convolutional network with 1, 2 and 4 processes on this machine. They have one thread
each and exchange gradients with gloo over the loopback interface. Measured are the compute of a
step, the all-reduce of the gradient's bytes alone, and whole steps: with the all-reduce after the
backward pass, and with DistributedDataParallel, which overlaps the two. The fastest round of each
counts, because other programs can only slow it down. It takes half a minute on an idle machine.

There are two predictions, and a ratio is the measured time divided by a predicted one:

- scaled: from the compute of one process and the all-reduce of two. Where there are more processes
  than cores, both take as many times longer as processes share a core.
- composed: whole steps from the compute and the all-reduce of as many processes. It tests how the
  formulas put a step together, whatever else the machine does meanwhile.

Needs PyTorch: ./scripts/setup.sh --torch.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from scaling.model import BACKWARD_SHARE, Link, exposed_seconds, split_into_buckets

try:
    import torch
    import torch.distributed as dist
    from torch.nn.parallel import DistributedDataParallel
except ImportError:
    sys.exit("measure_scaling.py: needs PyTorch; run ./scripts/setup.sh --torch")

STEPS = 4  # of each kind in a round
BUCKET_MIB = 2  # five buckets; the default of 25 would take the whole gradient
PIXELS = 32
CLASSES = 10
Measurement = dict[str, float]


def build_network() -> torch.nn.Module:
    """Three convolutions and a wide layer: 2.2 million parameters, a gradient of 8.8 MB."""
    torch.manual_seed(0)
    layers: list[torch.nn.Module] = []
    for inputs, outputs in ((3, 32), (32, 64), (64, 128)):
        layers += [torch.nn.Conv2d(inputs, outputs, 3, stride=2, padding=1), torch.nn.ReLU()]
    layers += [torch.nn.Flatten(), torch.nn.Linear(128 * 16, 1024), torch.nn.ReLU()]
    return torch.nn.Sequential(*layers, torch.nn.Linear(1024, CLASSES))


def gradient_bytes() -> int:
    """The bytes of the float32 gradient."""
    return sum(4 * parameter.numel() for parameter in build_network().parameters())


def buckets() -> list[float]:
    """The gradient's buckets in bytes."""
    return split_into_buckets(gradient_bytes(), BUCKET_MIB * 2**20)


class Worker:
    """One process of the job, with all that it measures as methods without arguments."""

    def __init__(self, batch: int) -> None:
        self.network = build_network()
        # The view saves a copy, which the all-reduce after the backward pass does not make either.
        self.parallel = DistributedDataParallel(
            build_network(), bucket_cap_mb=BUCKET_MIB, gradient_as_bucket_view=True
        )
        self.images = torch.randn(batch, 3, PIXELS, PIXELS)
        self.targets = torch.randint(CLASSES, (batch,))
        self.flat = torch.zeros(gradient_bytes() // 4)
        self.one = torch.zeros(1)

    def train(self, network: torch.nn.Module, after_backward: Callable[[], object]) -> None:
        """Forward, backward and a step of SGD."""
        loss = torch.nn.functional.cross_entropy(network(self.images), self.targets)
        loss.backward()
        after_backward()
        with torch.no_grad():
            for parameter in network.parameters():
                parameter -= 0.01 * parameter.grad
        network.zero_grad()

    def compute(self) -> None:
        """A step without communication."""
        self.train(self.network, lambda: None)

    def all_reduce(self) -> None:
        """The all-reduce of as many bytes as the gradient has, in buckets."""
        for bucket in buckets():
            dist.all_reduce(self.flat[: int(bucket) // 4])

    def latency(self) -> None:
        """The all-reduce of one number."""
        dist.all_reduce(self.one)

    def step(self) -> None:
        """A step with the all-reduce after the backward pass."""
        self.train(self.network, self.all_reduce)

    def overlapped_step(self) -> None:
        """A step of DistributedDataParallel."""
        self.train(self.parallel, lambda: None)


KINDS = ("compute", "all_reduce", "latency", "step", "overlapped_step")


def run_worker(rank: int, processes: int, folder: str, batch: int, rounds: int) -> None:
    """Measure all kinds in turn; rank 0 writes the seconds of each in its fastest round."""
    torch.set_num_threads(1)
    os.environ["GLOO_SOCKET_IFNAME"] = "lo"
    dist.init_process_group(
        "gloo", init_method=f"file://{folder}/store", rank=rank, world_size=processes
    )
    worker = Worker(batch)
    seconds: dict[str, list[float]] = {kind: [] for kind in KINDS}
    for round_number in range(rounds + 1):
        for kind in KINDS:
            action = getattr(worker, kind)
            dist.barrier()
            start = time.perf_counter()
            for _ in range(STEPS):
                action()
            # The slowest process decides when the next step can begin.
            dist.barrier()
            if round_number > 0:  # the first one warms up
                seconds[kind].append((time.perf_counter() - start) / STEPS)
    if rank == 0:
        fastest = {kind: min(values) for kind, values in seconds.items()}
        Path(folder, "fastest.json").write_text(json.dumps(fastest), encoding="utf-8")
    dist.destroy_process_group()


def measure(processes: int, batch: int, rounds: int) -> Measurement:
    """The seconds of each kind with this number of processes."""
    with tempfile.TemporaryDirectory() as folder:
        arguments = (processes, folder, batch, rounds)
        torch.multiprocessing.spawn(run_worker, arguments, nprocs=processes)
        return json.loads(Path(folder, "fastest.json").read_text(encoding="utf-8"))


def fit_link(two: Measurement, sizes: Sequence[float]) -> Link:
    """The loopback link, from the all-reduces of two processes: of ``sizes`` bytes, and of one."""
    # Two members: 2 (n-1)/n is 1, and there are two hops.
    transfer = two["all_reduce"] - len(sizes) * two["latency"]
    return Link("loopback", sum(sizes) / transfer, two["latency"] / 2)


def predict(
    processes: int, cores: int, compute: float, link: Link, sizes: Sequence[float]
) -> Measurement:
    """The seconds of each kind as the formulas have them, for buckets of ``sizes`` bytes."""
    share = max(1.0, processes / cores)
    durations = [share * link.all_reduce_seconds(size, processes) for size in sizes]
    backward = BACKWARD_SHARE * share * compute
    return {
        "compute": share * compute,
        "all_reduce": sum(durations),
        "step": share * compute + exposed_seconds(backward, sizes, durations, overlap=False),
        "overlapped_step": share * compute + exposed_seconds(backward, sizes, durations),
    }


def compose(seconds: Measurement, sizes: Sequence[float]) -> Measurement:
    """The seconds of whole steps from the measured compute and all-reduce."""
    durations = [seconds["all_reduce"] * size / sum(sizes) for size in sizes]
    backward = BACKWARD_SHARE * seconds["compute"]
    return {
        "step": seconds["compute"] + sum(durations),
        "overlapped_step": seconds["compute"] + exposed_seconds(backward, sizes, durations),
    }


def compare(
    measured: dict[int, Measurement], cores: int, sizes: Sequence[float]
) -> list[dict[str, Any]]:
    """A row for each number of processes from 2 on and each kind, with both predictions.

    Parts of a step have no composed prediction.
    """
    link = fit_link(measured[2], sizes)
    rows: list[dict[str, Any]] = []
    for processes, seconds in measured.items():
        if processes == 1:
            continue
        composed = compose(seconds, sizes)
        for kind, scaled in predict(processes, cores, measured[1]["compute"], link, sizes).items():
            row = {"processes": processes, "kind": kind, "measured": seconds[kind]}
            rows.append({**row, "scaled": scaled, "composed": composed.get(kind)})
    return rows


def process_counts(text: str) -> list[int]:
    """Numbers of processes; 1 and 2 are what the prediction is made of."""
    counts = sorted({int(word) for word in text.split(",")})
    if counts[:2] != [1, 2]:
        raise ValueError(text)
    return counts


def print_table(rows: list[dict[str, Any]]) -> None:
    """Print the rows in Markdown, in milliseconds."""
    header = ("processes", "what", "measured, ms", "scaled, ms", "ratio", "composed, ms", "ratio")
    print("| " + " | ".join(header) + " |\n" + "| --- " * len(header) + "|")
    for row in rows:
        cells = [
            str(row["processes"]),
            row["kind"].replace("_", " "),
            f"{1e3 * row['measured']:.1f}",
        ]
        for prediction in (row["scaled"], row["composed"]):
            if prediction is None:
                cells += ["", ""]
            else:
                cells += [f"{1e3 * prediction:.1f}", f"{row['measured'] / prediction:.2f}"]
        print("| " + " | ".join(cells) + " |")


def main() -> None:
    """Measure, print the table and write it where that was asked."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--processes", type=process_counts, default=[1, 2, 4], metavar="1,2,...")
    parser.add_argument("--batch", type=int, default=64, metavar="N", help="per process")
    parser.add_argument("--rounds", type=int, default=9, metavar="N")
    parser.add_argument("--json", type=Path, metavar="FILE")
    options = parser.parse_args()
    cores = len(os.sched_getaffinity(0))
    print(f"{cores} cores, load {os.getloadavg()[0]:.1f} before, PyTorch {torch.__version__}")
    measured = {count: measure(count, options.batch, options.rounds) for count in options.processes}
    print(f"gradient {gradient_bytes() / 1e6:.1f} MB, batch {options.batch} per process; compute")
    print(f"of one process {1e3 * measured[1]['compute']:.1f} ms\n")
    rows = compare(measured, cores, buckets())
    print_table(rows)
    if options.json:
        options.json.write_text(json.dumps(rows, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
