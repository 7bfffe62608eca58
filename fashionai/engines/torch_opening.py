"""Opens the engine torch: MXNet builds the network with its weights and hands it over as data."""

from __future__ import annotations

import pkgutil
from collections.abc import Sequence
from typing import Any

from fashionai.engines.gluon import load_network
from fashionai.engines.protocol import Engine
from fashionai.frameworks.mxnet import import_mxnet
from fashionai.frameworks.torch import import_torch
from fashionai.models.describe import describe
from fashionai.runs import Run

mx = import_mxnet()


def open_torch(run: Run, contexts: Sequence[Any]) -> Engine:
    """Open a run's network on these devices.

    Raises InstallationError when PyTorch is not installed, ConfigError for an operator that it
    cannot compute, and errors of load_network.
    """
    import_torch()
    description = describe(load_network(run, [mx.cpu()]), run.config.data.crop)
    engine: Engine = pkgutil.resolve_name("fashionai.engines.torch:open_described")(
        run, contexts, description
    )
    return engine
