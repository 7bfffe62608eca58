"""Training of MobileNetV2 with PyTorch and torch.compile, compared with MXNet and torchvision.

Batches of 32, with the same images, augmentation (resize 256, random crop 224, mirror) and
optimizer. The first comparison is with ``fashionai train --engine gluon``; the second is with
torchvision's mobilenet_v2 under torch.compile, channels last, and a DataLoader with 2 processes.
Compiling is part of the warm-up, which is not measured.
"""

from __future__ import annotations

from measuring.comparison import Comparison, Target, run_comparisons
from measuring.options import Options, read_options
from measuring.side import Side
from measuring.workloads import our_training, peer_training

NETWORK, PEER = "mobilenetv2_1.0", "mobilenet_v2"


def ours(options: Options, **engine: object) -> dict[str, object]:
    """Settings of this project's side with an engine."""
    return our_training(options.cache, options.images, NETWORK, **engine)


def main() -> None:
    """Compare with MXNet, then with torchvision."""
    options = read_options(__doc__, images=256, quick_images=64)
    compiled = Side(
        f"fashionai, {NETWORK}, engine torch, compiled",
        "ours/train.py",
        ours(options, engine="torch", compile=True),
    )
    mxnet = Side(
        f"fashionai, {NETWORK}, engine gluon", "ours/train.py", ours(options, engine="gluon")
    )
    torchvision = Side(
        f"torchvision, {PEER}, compiled",
        "peers/torchvision_train.py",
        {**peer_training(options.cache, options.images, PEER), "compile": True},
        options.peer_python,
    )
    title = "training, MobileNetV2"
    comparisons = [
        Comparison(f"{title}: PyTorch and MXNet", "images/s", Target(1.5), mxnet, compiled),
        Comparison(f"{title}, torch.compile", "images/s", Target(1), torchvision, compiled),
    ]
    run_comparisons(comparisons, options)


if __name__ == "__main__":
    main()
