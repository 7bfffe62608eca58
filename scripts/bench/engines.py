"""Training with both engines: PyTorch beside MXNet, on the CPU.

Steps on one constant batch of 16 images, of 128 and of 224 pixels, with random weights. The table
tells which families engine auto should train by PyTorch. --networks NAME,NAME measures some of the
networks alone.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence

from measuring.comparison import Comparison, Target, run_comparisons
from measuring.options import Options, read_options
from measuring.runs import prepared
from measuring.side import Side
from measuring.workloads import our_training

BATCH_SIZE, SIDES = 16, (128, 224)
# Families of the catalogue; two networks of those for which one says little about the others.
NETWORKS = (
    *("mobilenet1.0", "mobilenetv2_0.25", "mobilenetv2_1.0", "mobilenetv3_large"),
    *("efficientnet_lite0", "efficientnet_b0", "efficientnetv2_b0", "convnext_atto", "vit_tiny"),
    *("resnet18_v2", "resnet50_v1b", "resnext50_32x4d", "se_resnet18_v2", "se_resnet50_v1"),
    *("resnest14", "shufflenet_v1", "xception", "densenet121", "small_cnn"),
)
# What all networks of a family reach with both sizes, if engine auto is to take PyTorch.
TARGET = Target(1.1)


def comparisons(options: Options, networks: Sequence[str]) -> Iterator[Comparison]:
    """One row for each network and size."""
    for network in networks:
        for side in SIDES:
            title = f"steps of {network}, {side} pixels: PyTorch and MXNet"
            both = [steps(options, network, side, engine) for engine in ("gluon", "torch")]
            yield Comparison(title, "images/s", TARGET, *both)


def steps(options: Options, network: str, side: int, engine: str) -> Side:
    """Steps of a network with an engine."""
    data = {"folder": str(prepared(options.cache, options.images)), "crop": side}
    more = {"data": data, "batch_size": BATCH_SIZE, "engine": engine}
    settings = our_training(options.cache, options.images, network, **more)
    name = f"fashionai, {network}, engine {engine}"
    return Side(name, "ours/train.py", {**settings, "measure": "step"})


def main() -> None:
    """Compare the engines for each network."""
    own = argparse.ArgumentParser(add_help=False)
    own.add_argument(
        "--networks", default=",".join(NETWORKS), help="networks to measure (default: all)"
    )
    options = read_options(__doc__, images=64, quick_images=BATCH_SIZE, own=[own])
    given, _ = own.parse_known_args()
    run_comparisons(comparisons(options, given.networks.split(",")), options)


if __name__ == "__main__":
    main()
