"""Opens an engine by its name, and checks that an exact engine computes what gluon does."""

from __future__ import annotations

import pkgutil
from collections.abc import Sequence
from typing import Any

from fashionai.engines.agreement import TOLERANCE, agreement, noise_images
from fashionai.engines.gluon import open_gluon
from fashionai.engines.guarded import GuardedEngine
from fashionai.engines.protocol import Engine
from fashionai.engines.registry import ENGINES, engines_on
from fashionai.errors import ConfigError, WeightsError, first_line, nearest
from fashionai.frameworks.devices import TORCH, framework_of_devices
from fashionai.frameworks.mxnet import own_contexts
from fashionai.runs import Run


def open_engine(run: Run, contexts: Sequence[Any], name: str) -> Engine:
    """Open a run's network with its weights in the engine ``name``, one of ENGINES.

    An exact engine other than gluon is first compared with gluon on images of noise: no
    probability may differ by more than 1e-4. The engine raises FrameworkError where its framework
    fails to compute.

    Raises ConfigError for an unknown engine, for one that does not run on these devices and for
    one that disagrees with gluon; WeightsError when the weights do not fit the network or the
    engine cannot compute it; RunError by int8 for a run that is not quantized;
    InstallationError when a package that the engine needs is not installed.
    """
    if name not in ENGINES:
        raise ConfigError(f"unknown engine '{name}'", nearest(name, list(ENGINES)))
    if name not in engines_on(contexts[0].device_type):
        raise ConfigError(
            f"engine {name} runs only on the CPU, found {contexts[0]}",
            "Use --engine gluon or --device cpu",
        )
    on_torch = framework_of_devices(contexts) == TORCH
    if on_torch and name != TORCH:
        raise ConfigError(
            f"engine {name} cannot compute on {contexts[0]}, which PyTorch alone can use",
            "Use --engine torch or --device cpu",
        )
    entry = ENGINES[name]
    mxnet_contexts = own_contexts(contexts)
    own = contexts if name == TORCH else mxnet_contexts
    engine: Engine = pkgutil.resolve_name(entry.opener)(run, own)
    if entry.is_exact and name != "gluon":
        _check_agreement(run, name, engine, open_gluon(run, mxnet_contexts))
    return GuardedEngine(engine, name, run)


def _check_agreement(run: Run, name: str, engine: Engine, gluon: Engine) -> None:
    """ConfigError when the engines disagree, for instance after oneDNN fused a graph wrongly."""
    network, images = run.config.model.name, noise_images(run.config.data.crop)
    try:
        found = agreement(engine.begin(images)(), gluon.begin(images)(), run.columns)
    except RuntimeError as error:  # the frameworks' errors, see GuardedEngine
        raise WeightsError(
            f"engine {name} cannot compute {network} ({first_line(error)})"
        ) from None
    # A difference that is not a number fails as well.
    if not found.difference <= TOLERANCE:
        raise ConfigError(
            f"engine {name} computes wrong probabilities for {network}: they differ by up to "
            f"{found.difference:.2g} from those of gluon, expected at most {TOLERANCE:g}",
            "Use --engine auto or --engine gluon",
        )
