"""Estimates how training scales to many GPUs and machines, from constants with sources.

usage: scripts/simulate_scaling.py [--out DIR] [--adapters N] [--network-efficiency SHARE]

Writes DIR/scaling.md, the tables of docs/gpus.md, and DIR/scaling.png. It takes a few seconds.
scripts/measure_scaling.py compares the same formulas with processes on the CPU.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Iterator, Sequence
from pathlib import Path

from matplotlib.figure import Figure
from scaling import model
from scaling.model import Cluster, Images, Link, Machine, Network, Step

GIGA = 1e9
# The sources of the constants are in docs/gpus.md, "Constants".
RESNET50 = Network("ResNet-50", 25_557_032, 4570, 256)
CONVNEXT_S = Network("ConvNeXt-S", 50_223_688, 1830, 128)
NETWORKS = (RESNET50, CONVNEXT_S)
NVLINK = Link("NVLink", 370 * GIGA, 3e-6)
DGX_H100 = Machine(8, 112, NVLINK, 50 * GIGA, 7.88 * GIGA)
PHOTOGRAPHS = Images(114_660, 224 * 224 * 3, 645)
NETWORK_EFFICIENCY = 0.75
HOP_SECONDS = 60e-6
COUNTS = (1, 8, 64, 512)
DATA_SETS = (80_000, 1_281_167, 10_000_000, 100_000_000)
SECONDS_BETWEEN_EPOCHS = 2.0
LARGEST_BATCH = 8192
# Name, bytes per second, requests per second.
STORAGES = (
    ("file server, 10 Gbit/s", 1.25 * GIGA, math.inf),
    ("file server, 100 Gbit/s", 12.5 * GIGA, math.inf),
    ("object storage, one prefix", math.inf, 5500.0),
    ("one local drive, PCIe 4.0 x4", 7.88 * GIGA, math.inf),
)


def ethernet(gigabits: int, adapters: int = 1, efficiency: float = NETWORK_EFFICIENCY) -> Link:
    """The network between machines that have ``adapters`` of this speed each."""
    name = f"{gigabits} Gbit/s" if adapters == 1 else f"{adapters} x {gigabits} Gbit/s"
    return Link(name, efficiency * adapters * gigabits / 8 * GIGA, HOP_SECONDS)


def step_of(network: Network, cluster: Cluster, batch: int | None = None) -> Step:
    """A step on photographs."""
    return model.simulate_step(network, cluster, PHOTOGRAPHS, batch)


def efficiency_of(
    network: Network, cluster: Cluster, batch: int | None = None, overlap: bool = True
) -> float:
    """The efficiency on photographs."""
    return model.efficiency(network, cluster, PHOTOGRAPHS, batch, overlap)


def clusters(links: Sequence[Link], counts: Sequence[int] = COUNTS) -> Iterator[Cluster]:
    """A cluster for each count and link; one machine for itself has no link."""
    for count in counts:
        for link in links if count > DGX_H100.gpus else links[:1]:
            yield Cluster(count, DGX_H100, link)


def format_seconds(seconds: float) -> str:
    """For instance 0.4 s, 90 s, 12 min, 3.1 h."""
    for unit, size in (("h", 3600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds:.2g} s" if seconds < 10 else f"{seconds:.0f} s"


def markdown(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table in Markdown."""
    lines = [header, ["---"] * len(header), *rows]
    return "".join("| " + " | ".join(line) + " |\n" for line in lines)


def link_name(cluster: Cluster) -> str:
    """The network between the machines, where there are several."""
    return cluster.between.name if cluster.machines > 1 else "-"


def fixed_batch_table(links: Sequence[Link]) -> str:
    """Throughput where every GPU keeps its batch."""
    rows = []
    for network in NETWORKS:
        for cluster in clusters(links):
            step = step_of(network, cluster)
            rows.append(
                [
                    network.name,
                    str(cluster.gpus),
                    link_name(cluster),
                    f"{step.images:,}",
                    f"{step.images_per_second:,.0f}",
                    f"{efficiency_of(network, cluster):.2f}",
                    f"{efficiency_of(network, cluster, overlap=False):.2f}",
                    f"{1000 * step.seconds:.1f}",
                    f"{1000 * step.all_reduce:.1f}",
                    f"{1000 * step.exposed:.1f}",
                ]
            )
    header = [
        *("network", "GPUs", "between machines", "images per step", "images/s", "efficiency"),
        *("without overlap", "step, ms", "all-reduce, ms", "not hidden, ms"),
    ]
    return markdown(header, rows)


def fixed_total_table(links: Sequence[Link]) -> str:
    """Throughput where all GPUs share LARGEST_BATCH images per step."""
    rows = []
    for network in NETWORKS:
        for cluster in clusters(links, COUNTS[2:]):
            batch = LARGEST_BATCH // cluster.gpus
            step = step_of(network, cluster, batch=batch)
            rows.append(
                [
                    network.name,
                    str(cluster.gpus),
                    link_name(cluster),
                    str(batch),
                    f"{step.images_per_second:,.0f}",
                    f"{efficiency_of(network, cluster, batch):.2f}",
                    f"{1000 * step.compute:.1f}",
                    f"{1000 * step.all_reduce:.1f}",
                ]
            )
    header = [
        *("network", "GPUs", "between machines", "images per GPU", "images/s", "efficiency"),
        *("compute, ms", "all-reduce, ms"),
    ]
    return markdown(header, rows)


def epoch_table(link: Link) -> str:
    """The time and the number of steps of an epoch, by size of the data set."""
    rows = []
    for network in NETWORKS:
        for images in DATA_SETS:
            row = [network.name, f"{images:,}"]
            for cluster in clusters([link]):
                step = step_of(network, cluster)
                seconds = format_seconds(model.epoch_seconds(images, step, SECONDS_BETWEEN_EPOCHS))
                row.append(f"{seconds} ({model.epoch_steps(images, step):,})")
            rows.append(row)
    counts = [f"{count} GPU{'s' if count > 1 else ''}" for count in COUNTS]
    return markdown(["network", "images", *counts], rows)


def input_table(link: Link) -> str:
    """What the images of a job cost per second, and the cores of each machine that decode."""
    rows = []
    for network in NETWORKS:
        for cluster in clusters([link]):
            rate = step_of(network, cluster).images_per_second
            cores = rate / cluster.machines / PHOTOGRAPHS.decoded_per_core
            rows.append(
                [
                    network.name,
                    str(cluster.gpus),
                    f"{rate:,.0f}",
                    f"{rate * PHOTOGRAPHS.file_bytes / model.READ_BYTES:,.0f}",
                    f"{rate * PHOTOGRAPHS.file_bytes / GIGA:.1f}",
                    f"{math.ceil(cores)} of {DGX_H100.cores * cluster.gpus_per_machine // 8}",
                ]
            )
    header = [
        *("network", "GPUs", "reads per second, one file per image"),
        *("reads per second, shards", "GB/s", "cores per machine that decode"),
    ]
    return markdown(header, rows)


def storage_table() -> str:
    """The GPUs that a storage can feed."""
    rows = []
    for name, bandwidth, requests in STORAGES:
        for sharded in (False, True) if requests < math.inf else (False,):
            rate = model.feasible_rate(bandwidth, requests, PHOTOGRAPHS, sharded)
            layout = "shards" if sharded else "one file per image"
            fed = [f"{rate / network.rate:.1f}" for network in NETWORKS]
            rows.append([name, layout if requests < math.inf else "any", f"{rate:,.0f}", *fed])
    names = [f"H100 that train {network.name}" for network in NETWORKS]
    return markdown(["storage", "layout", "images/s", *names], rows)


def all_tables(links: Sequence[Link]) -> dict[str, str]:
    """The tables of docs/gpus.md by what they show."""
    return {
        "A fixed batch for each GPU": fixed_batch_table(links),
        f"{LARGEST_BATCH:,} images per step, shared by all GPUs": fixed_total_table(links),
        f"Time of an epoch (and its steps), {links[-1].name}": epoch_table(links[-1]),
        f"What the input has to deliver, {links[-1].name}": input_table(links[-1]),
        "What a storage can feed": storage_table(),
    }


def draw(links: Sequence[Link], file: Path) -> None:
    """Draw efficiency and the time of an epoch over the number of GPUs."""
    counts = [2**power for power in range(10)]
    figure = Figure(figsize=(11, 4.6), layout="constrained")
    left, right = figure.subplots(1, 2)
    for number, network in enumerate(NETWORKS):
        for link, width in zip(links, (1.2, 2.4)):
            row = [Cluster(count, DGX_H100, link) for count in counts]
            label = f"{network.name}, {link.name}"
            style = {"color": f"C{number}", "linewidth": width}
            shares = [efficiency_of(network, cluster) for cluster in row]
            left.plot(counts, shares, "-", label=label, **style)
            shared = [c for c in row if LARGEST_BATCH // c.gpus <= network.batch]
            shares = [efficiency_of(network, c, LARGEST_BATCH // c.gpus) for c in shared]
            left.plot([c.gpus for c in shared], shares, "--", **style)
    left.plot([], [], "--", color="grey", label=f"the same, {LARGEST_BATCH:,} images per step")
    left.set_ylim(0, 1.05)
    left.set_ylabel("efficiency")
    left.legend(loc="lower left")
    for images in DATA_SETS:
        steps = [step_of(RESNET50, Cluster(n, DGX_H100, links[-1])) for n in counts]
        seconds = [model.epoch_seconds(images, step, SECONDS_BETWEEN_EPOCHS) for step in steps]
        right.plot(counts, seconds, "o-", markersize=3, label=f"{images:,} images")
    right.axhline(SECONDS_BETWEEN_EPOCHS, color="grey", linestyle=":", label="between epochs")
    right.set_yscale("log")
    right.set_ylabel(f"seconds per epoch, ResNet-50, {links[-1].name}")
    right.legend()
    for axes in (left, right):
        axes.set_xscale("log", base=2)
        axes.set_xticks(counts, [str(count) for count in counts])
        axes.set_xlabel("H100 GPUs, 8 per machine")
        axes.grid(alpha=0.3)
    figure.savefig(file, dpi=90)


def main() -> None:
    """Write the tables and the plot."""
    parser = argparse.ArgumentParser(
        description=f"{__doc__}\n{model.__doc__}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--out", type=Path, default=Path("build/scaling"), metavar="DIR")
    parser.add_argument("--adapters", type=int, default=1, help="network adapters per machine")
    parser.add_argument(
        "--network-efficiency",
        type=float,
        default=NETWORK_EFFICIENCY,
        metavar="SHARE",
        help="of the adapters' speed that NCCL reaches (default: %(default)s)",
    )
    options = parser.parse_args()
    if options.adapters < 1 or not 0 < options.network_efficiency <= 1:
        parser.error("expected --adapters of at least 1, --network-efficiency above 0 and up to 1")
    links = [ethernet(speed, options.adapters, options.network_efficiency) for speed in (100, 400)]
    options.out.mkdir(parents=True, exist_ok=True)
    parts = [f"### {title}\n\n{table}" for title, table in all_tables(links).items()]
    (options.out / "scaling.md").write_text("\n".join(parts), encoding="utf-8")
    draw(links, options.out / "scaling.png")
    print("\n".join(parts))
    print(f"Wrote {options.out / 'scaling.md'} and {options.out / 'scaling.png'}")


if __name__ == "__main__":
    main()
