"""Either side works where the framework of the other one is not installed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.support.commands import ROOT

torch = pytest.importorskip("torch")

DESCRIBE = """
import sys; sys.modules["torch"] = None
from pathlib import Path
import numpy as np
from gpu_check.descriptions import save_description
from fashionai.models.describe import describe
from fashionai.models.zoo import build_network, mx
network = build_network("small_cnn", 3, 8)
save_description(Path("network.npz"), describe(network, 8))
images = np.random.default_rng(0).normal(size=(2, 3, 8, 8)).astype(np.float32)
np.savez("batch.npz", images=images, logits=network(mx.nd.array(images)).asnumpy())
"""

COMPUTE = """
import sys; sys.modules["mxnet"] = None; sys.modules["gluoncv"] = None
from pathlib import Path
import numpy as np, torch
from gpu_check.descriptions import load_description
from fashionai.models.torch.network import GraphNetwork
network = GraphNetwork(load_description(Path("network.npz"))).eval()
batch = np.load("batch.npz")
np.save("logits.npy", network(torch.from_numpy(batch["images"])).detach().numpy())
"""


def test_a_network_goes_from_mxnet_to_a_process_that_has_none(tmp_path: Path) -> None:
    for program in (DESCRIBE, COMPUTE):
        environment = {
            "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'scripts'}",
            "OMP_NUM_THREADS": "1",
        }
        command = [sys.executable, "-c", program]
        subprocess.run(command, cwd=tmp_path, env=environment, check=True)
    expected = np.load(tmp_path / "batch.npz")["logits"]
    np.testing.assert_allclose(np.load(tmp_path / "logits.npy"), expected, atol=1e-6)
