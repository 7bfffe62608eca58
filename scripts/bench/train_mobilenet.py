"""Training of MobileNets: MobileNetV2 beside torchvision's, and MobileNetV3 with both engines.

Batches of 32, with the same images, augmentation (resize 256, random crop 224, mirror) and
optimizer. The peer is torchvision's mobilenet_v2 under torch.compile, channels last, and a
DataLoader with 2 processes; ours is trained by MXNet, and by PyTorch, compiled as well. Compiling
is part of the warm-up, which is not measured. MobileNetV3-Large is one of the networks that PyTorch
trains without being asked to; its peer is the same training by MXNet.
"""

from __future__ import annotations

from measuring.comparison import Comparison, Target, run_comparisons
from measuring.options import Options, read_options
from measuring.side import Side
from measuring.workloads import our_training, peer_training

NETWORK, PEER = "mobilenetv2_1.0", "mobilenet_v2"
OF_PYTORCH = "mobilenetv3_large"
ENGINES = ("gluon", "torch")


def ours(options: Options, network: str, name: str, **engine: object) -> Side:
    """This project's side with an engine."""
    settings = our_training(options.cache, options.images, network, **engine)
    return Side(f"fashionai, {network}, {name}", "ours/train.py", settings)


def main() -> None:
    """Compare the engines with torchvision and with each other."""
    options = read_options(__doc__, images=256, quick_images=64)
    torchvision = Side(
        f"torchvision, {PEER}, compiled",
        "peers/torchvision_train.py",
        {**peer_training(options.cache, options.images, PEER), "compile": True},
        options.peer_python,
    )
    title = "training, MobileNetV2"
    mxnet = ours(options, NETWORK, "engine gluon", engine="gluon")
    compiled = ours(options, NETWORK, "engine torch, compiled", engine="torch", compile=True)
    third = [ours(options, OF_PYTORCH, f"engine {engine}", engine=engine) for engine in ENGINES]
    comparisons = [
        Comparison(title, "images/s", Target(1), torchvision, mxnet),
        Comparison(f"{title}, torch.compile", "images/s", Target(1), torchvision, compiled),
        Comparison(
            "training, MobileNetV3-Large: PyTorch and MXNet", "images/s", Target(1.2), *third
        ),
    ]
    run_comparisons(comparisons, options)


if __name__ == "__main__":
    main()
