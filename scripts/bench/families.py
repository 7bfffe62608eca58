"""Training and prediction with the smallest network of each family, compared with timm's.

Images of 128 pixels in batches of 16 that are already in memory, random weights. A step of training
is the forward pass, the backward pass and the update on one constant batch, with both engines. In
prediction our side takes pixels and returns probabilities with engine onnx, the peer takes
normalised pixels and returns logits. The peer computes with channels last.

--cpu-time is for a machine that has other work: each side has one thread, and its images are
divided by the CPU time that it used. --networks NAME,NAME measures some of the networks alone.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any

from measuring.comparison import Comparison, Target, measure_pairs, row_cells, summarize
from measuring.images import CLASSES
from measuring.options import Options, read_options
from measuring.results import result_row, write_results
from measuring.runs import prepared, untrained_run
from measuring.side import Side, running
from measuring.workloads import LEARNING_RATE, MOMENTUM, WEIGHT_DECAY, our_training

CROP, BATCH_SIZE = 128, 16
# Ours, timm's, and the options of timm's.
NETWORKS: tuple[tuple[str, str, dict[str, Any]], ...] = (
    ("convnext_atto", "convnext_atto", {}),
    ("efficientnet_lite0", "tf_efficientnet_lite0", {}),
    ("efficientnet_b0", "efficientnet_b0", {}),
    ("efficientnetv2_b0", "tf_efficientnetv2_b0", {}),
    ("vit_tiny", "vit_tiny_patch16_224", {"img_size": CROP}),
    ("deit3_small", "deit3_small_patch16_224", {"img_size": CROP}),
    ("resnet50_v1d", "resnet50d", {}),
    ("resnest14", "resnest14d", {}),
)
# A forward pass is about three times as fast as a step.
FORWARD_BATCHES = 3
TRAINING_ENGINES, FORWARD_ENGINE = ("gluon", "torch"), "onnx"
TARGET = Target(1)
COMMON = {
    "classes": CLASSES,
    "crop": CROP,
    "batch_size": BATCH_SIZE,
    "lr": LEARNING_RATE,
    "momentum": MOMENTUM,
    "weight_decay": WEIGHT_DECAY,
}


def cases(options: Options, networks: Sequence[str]) -> list[dict[str, Any]]:
    """What is measured for these of our networks, one case per row."""
    steps = options.images // BATCH_SIZE
    data = {"folder": str(prepared(options.cache, options.images)), "crop": CROP}
    found: list[dict[str, Any]] = []
    for ours, peer, settings in (each for each in NETWORKS if each[0] in networks):
        case = {"ours": ours, "peer": peer, "options": settings}
        run = untrained_run(options.cache, ours, CROP)
        batches = FORWARD_BATCHES * steps
        forward = {"measure": "forward", "engine": FORWARD_ENGINE, "run": run, "batches": batches}
        found.append({**case, **forward})
        for engine in TRAINING_ENGINES:
            more = {"data": data, "batch_size": BATCH_SIZE, "engine": engine}
            config = our_training(options.cache, options.images, ours, **more)["config"]
            step = {"measure": "step", "engine": engine, "config": config, "batches": steps}
            found.append({**case, **step})
    return found


def compare_cases(
    options: Options, measured: Sequence[dict[str, Any]], cpu_time: bool
) -> list[dict[str, Any]]:
    """Measure and print all rows; each side is one process for all of them."""
    settings = {
        **COMMON,
        "cases": measured,
        "repetitions": options.repetitions,
        "clock": "cpu" if cpu_time else "wall",
    }
    unit = "images per CPU second" if cpu_time else "images/s"
    environment = {"OMP_NUM_THREADS": "1" if cpu_time else None}
    peer = Side("timm", "peers/timm_network.py", settings, options.peer_python, environment)
    ours = Side("fashionai", "ours/network.py", settings, environment=environment)
    rows = []
    with running(peer) as their_process, running(ours) as our_process:
        for case in measured:
            title = "forward" if case["measure"] == "forward" else "training"
            comparison = Comparison(
                f"{title}, {case['ours']}",
                unit,
                TARGET,
                peer._replace(name=f"timm, {case['peer']}"),
                ours,
            )
            pairs = measure_pairs(their_process, our_process, unit, options.repetitions)
            summary = summarize(pairs)
            cells = row_cells(comparison, summary, case["engine"])
            rows.append(result_row(cells, **summary._asdict(), unit=unit, pairs=pairs))
    return rows


def main() -> None:
    """Compare the networks."""
    names = ",".join(name for name, *_ in NETWORKS)
    own = argparse.ArgumentParser(add_help=False)
    own.add_argument("--cpu-time", action="store_true", help="one thread, by its CPU time")
    own.add_argument("--networks", default=names, help="networks to measure (default: all)")
    options = read_options(__doc__, images=64, quick_images=BATCH_SIZE, own=[own])
    given, _ = own.parse_known_args()
    measured = cases(options, given.networks.split(","))
    write_results(compare_cases(options, measured, given.cpu_time), options)


if __name__ == "__main__":
    main()
