"""Training of MobileNets: MobileNetV2 beside torchvision's, and with both engines.

Batches of 32, with the same images, augmentation (resize 256, random crop 224, mirror) and
optimizer. The peer is torchvision's mobilenet_v2 under torch.compile, channels last, and a
DataLoader with 2 processes; compiling is part of its warm-up, which is not measured. Ours is
trained by MXNet and by PyTorch, then each MobileNet by both in alternation.
"""

from __future__ import annotations

from measuring.comparison import Comparison, Target, run_comparisons
from measuring.options import Options, read_options
from measuring.side import Side
from measuring.workloads import our_training, peer_training

PEER, NETWORK = "mobilenet_v2", "mobilenetv2_1.0"
ENGINES = ("gluon", "torch")
# Title, network, how much faster PyTorch should be than MXNet.
OF_BOTH_ENGINES = (
    ("MobileNetV2", NETWORK, Target(1.5)),
    ("MobileNetV3-Large", "mobilenetv3_large", Target(1.2)),
)


def ours(options: Options, network: str, engine: str) -> Side:
    """This project's side with an engine."""
    settings = our_training(options.cache, options.images, network, engine=engine)
    return Side(f"fashionai, {network}, engine {engine}", "ours/train.py", settings)


def main() -> None:
    """Compare the engines with torchvision and with each other."""
    options = read_options(__doc__, images=256, quick_images=64)
    torchvision = Side(
        f"torchvision, {PEER}, compiled",
        "peers/torchvision_train.py",
        {**peer_training(options.cache, options.images, PEER), "compile": True},
        options.peer_python,
    )
    comparisons = [
        Comparison(
            f"training, MobileNetV2, engine {engine}",
            "images/s",
            Target(1),
            torchvision,
            ours(options, NETWORK, engine),
        )
        for engine in ENGINES
    ]
    for title, network, target in OF_BOTH_ENGINES:
        both = [ours(options, network, engine) for engine in ENGINES]
        title = f"training, {title}: PyTorch and MXNet"
        comparisons.append(Comparison(title, "images/s", target, *both))
    run_comparisons(comparisons, options)


if __name__ == "__main__":
    main()
