"""The product of two square matrices with MXNet's oneDNN."""

from __future__ import annotations

import time
from collections.abc import Callable

from measuring.worker import FACTS, Settings, serve

from fashionai.frameworks.mxnet import import_mxnet
from fashionai.runtime import compute_threads

mx = import_mxnet()


def set_up(settings: Settings) -> Callable[[], float]:
    """Measure GFLOP/s; a multiplication and an addition count as two operations."""
    size, count = settings["size"], settings["count"]
    one, other = (mx.nd.random.normal(shape=(size, size)) for _ in range(2))
    FACTS["threads"] = compute_threads()

    def measure() -> float:
        mx.nd.waitall()
        begun = time.perf_counter()
        for _ in range(count):
            mx.nd.FullyConnected(one, other, no_bias=True, num_hidden=size).wait_to_read()
        return 2e-9 * size**3 * count / (time.perf_counter() - begun)

    measure()
    return measure


if __name__ == "__main__":
    serve(set_up, "mxnet")
