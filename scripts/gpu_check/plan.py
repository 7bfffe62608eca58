"""The sizes of a check: of a real one, and of a tiny one that a CPU finishes in two minutes."""

from __future__ import annotations

from typing import Any, NamedTuple, Optional

# Parts that measure no speed run at the same time.
TOGETHER = ("parity", "demo", "resume", "processes")
PARTS = ("environment", *TOGETHER, "throughput", "precisions")

# Seconds for the whole check.
TOTAL_LIMIT = 470.0


class Measurement(NamedTuple):
    """One measurement of speed. ``batch`` is None for the largest batch that fits."""

    side: str  # ours or peer
    precision: str
    compiled: bool
    batch: Optional[int]

    @property
    def name(self) -> str:
        """Its name in the table."""
        batch = "largest batch" if self.batch is None else f"batch {self.batch}"
        return f"{self.precision}{', compiled' if self.compiled else ''}, {batch}"


# Measurements that one process makes.
Group = tuple[Measurement, ...]


class Plan(NamedTuple):
    """The sizes of a check; sides are in pixels, ``seconds`` those of one measurement of speed.

    ``speeds`` are the measurements of the parts that measure speed, one process for each group.

    ``map_margin`` is how far the demo's mAP may fall below that of MXNet; after few epochs it is
    of chance, because rounding decides which values cross zero. ``limits`` are the
    seconds of each part; for those that measure speed of each process.
    """

    name: str
    parity_networks: tuple[str, ...]
    parity_side: int
    parity_batch: int
    demo_images: int
    demo_epochs: int
    map_margin: float
    resume_epochs: int
    photos: int
    photo_sides: tuple[int, int]
    network: str
    resize_short: int
    crop: int
    peer_width: int  # of the first layer, for the peer where torchvision is not installed
    peer_blocks: tuple[int, ...]
    loader_processes: int
    seconds: float
    largest_batch: int  # where the device's memory is not known
    speeds: dict[str, tuple[Group, ...]]
    limits: dict[str, float]


HALF = "bfloat16"
FULL = Plan(
    name="full",
    parity_networks=("resnet50_v2", "mobilenetv2_1.0", "logos_cnn"),
    parity_side=96,
    parity_batch=8,
    demo_images=1200,
    demo_epochs=30,
    map_margin=0.05,
    resume_epochs=12,
    photos=240,
    photo_sides=(512, 800),
    network="resnet50_v1b",
    resize_short=256,
    crop=224,
    peer_width=64,
    peer_blocks=(3, 4, 6, 3),
    loader_processes=16,
    seconds=4.0,
    largest_batch=256,
    # The most important ones first: those for which no time is left are not made.
    speeds={
        "throughput": (
            (Measurement("ours", HALF, True, 256),),
            (Measurement("peer", HALF, True, 256),),
            (Measurement("ours", HALF, True, 64),),
            (Measurement("peer", HALF, True, 64),),
            tuple(
                Measurement("ours", precision, False, 256)
                for precision in (HALF, "float16", "tf32", "float32")
            ),
            (Measurement("ours", HALF, True, None),),
            (Measurement("peer", HALF, True, None),),
        ),
        "precisions": tuple(
            (Measurement("ours", precision, True, 256),)
            for precision in ("float16", "tf32", "float32")
        ),
    },
    limits={
        "environment": 40,
        "parity": 80,
        "demo": 80,
        "resume": 80,
        "processes": 80,
        "throughput": 110,
        "precisions": 110,
    },
)
TINY = FULL._replace(
    name="tiny",
    parity_networks=("mobilenet0.25", "cifar_resnet20_v2", "logos_cnn"),
    parity_side=72,
    parity_batch=4,
    demo_images=120,
    demo_epochs=2,
    map_margin=1.0,
    resume_epochs=6,
    photos=8,
    photo_sides=(96, 128),
    network="small_cnn",
    resize_short=40,
    crop=32,
    peer_width=8,
    peer_blocks=(1, 1, 1, 1),
    loader_processes=1,
    seconds=0.3,
    largest_batch=8,
    speeds={
        "throughput": (
            (Measurement("ours", HALF, False, 4), Measurement("ours", "float32", False, 4)),
            (Measurement("peer", HALF, False, 4),),
            (Measurement("ours", HALF, False, None),),
            (Measurement("peer", HALF, False, None),),
        ),
        "precisions": ((Measurement("ours", "float32", True, 4),),),
    },
    limits=dict.fromkeys(PARTS, 100.0),
)
PLANS: dict[str, Plan] = {plan.name: plan for plan in (FULL, TINY)}


def training_values(plan: Plan, folder: str) -> dict[str, Any]:
    """Values of configs/demo.yaml that the demo's training of a plan replaces."""
    return {"data.folder": folder, "epochs": plan.demo_epochs, "engine": "torch"}
