"""Two processes that train one network on one device, compared with a single one."""

from __future__ import annotations

import os
import socket
import subprocess
import sys

from gpu_check.worker import Context

COUNT = 2


def run(context: Context) -> None:
    """Start the processes with PyTorch's launcher; the first one adds the rows."""
    job = context.job(settings={"module": "one_of_two"})
    launcher = [sys.executable, "-m", "torch.distributed.run", f"--nproc-per-node={COUNT}"]
    launcher += ["--master-addr=127.0.0.1", f"--master-port={_free_port()}"]
    command = [*launcher, "-m", "gpu_check.worker", job]
    # NCCL refuses two processes on one GPU; gloo needs the name of an interface it can use.
    environment = {**os.environ, "GLOO_SOCKET_IFNAME": "lo", "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, env=environment)
    if done.returncode:
        raise RuntimeError(f"two processes ended with code {done.returncode}")


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])
