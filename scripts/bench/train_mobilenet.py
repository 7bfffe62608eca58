"""Training of MobileNetV2 with MXNet and with PyTorch, compared with torchvision's, compiled.

Batches of 32, with the same images, augmentation (resize 256, random crop 224, mirror) and
optimizer. The peer is torchvision's mobilenet_v2 under torch.compile, channels last, and a
DataLoader with 2 processes; our PyTorch is compiled as well. Compiling is part of the warm-up,
which is not measured.
"""

from __future__ import annotations

from measuring.comparison import Comparison, Target, run_comparisons
from measuring.options import Options, read_options
from measuring.side import Side
from measuring.workloads import our_training, peer_training

NETWORK, PEER = "mobilenetv2_1.0", "mobilenet_v2"


def ours(options: Options, name: str, **engine: object) -> Side:
    """This project's side with an engine."""
    settings = our_training(options.cache, options.images, NETWORK, **engine)
    return Side(f"fashionai, {NETWORK}, {name}", "ours/train.py", settings)


def main() -> None:
    """Compare both engines with torchvision."""
    options = read_options(__doc__, images=256, quick_images=64)
    torchvision = Side(
        f"torchvision, {PEER}, compiled",
        "peers/torchvision_train.py",
        {**peer_training(options.cache, options.images, PEER), "compile": True},
        options.peer_python,
    )
    title = "training, MobileNetV2"
    mxnet = ours(options, "engine gluon", engine="gluon")
    compiled = ours(options, "engine torch, compiled", engine="torch", compile=True)
    comparisons = [
        Comparison(title, "images/s", Target(1), torchvision, mxnet),
        Comparison(f"{title}, torch.compile", "images/s", Target(1), torchvision, compiled),
    ]
    run_comparisons(comparisons, options)


if __name__ == "__main__":
    main()
