"""Checks of the weights that a training begins with."""

from __future__ import annotations

from pathlib import Path

from fashionai.config import Config
from fashionai.doctor.findings import ERROR, OK, WARNING, Finding, of_error
from fashionai.errors import FashionAIError
from fashionai.weights.availability import WITHOUT_WEIGHTS, cached_networks, where_weights_are
from fashionai.weights.licences import licence_lines
from fashionai.weights.pretrained import starting_weights
from fashionai.weights.store import find_local_file


def check_weights_at_hand() -> Finding:
    """The networks whose pretrained weights are on this machine."""
    names = [network.name for network in cached_networks()]
    return Finding("weights", OK, f"on this machine: {', '.join(names) or 'none'}")


def check_weights(config: Config, config_name: str) -> Finding:
    """Whether the weights that a configuration begins with are on this machine, whole."""
    name, pretrained = config.model.name, config.model.pretrained
    if pretrained is False:
        return Finding("pretrained", OK, f"{name} begins with random weights")
    try:
        is_here = find_local_file(name) if pretrained is True else Path(pretrained).is_file()
        if not is_here:
            return _missing(name, pretrained, config_name)
        weights = starting_weights(config)
    except FashionAIError as error:
        return of_error("pretrained", error)
    return Finding(
        "pretrained", OK, "; ".join([f"{weights.source}", *licence_lines(weights.licence)])
    )


def _missing(name: str, pretrained: object, config_name: str) -> Finding:
    without = f"fashionai train --config {config_name} {WITHOUT_WEIGHTS}"
    if pretrained is not True:
        return Finding("pretrained", ERROR, f"{pretrained}: does not exist", without)
    found, published = f"{name}: no pretrained weights on this machine", where_weights_are(name)
    if not published:
        return Finding("pretrained", ERROR, found, without)
    # Whether the source answers is known only after the download.
    found = f"{found}; train downloads them first: {published}"
    return Finding("pretrained", WARNING, found, f"fashionai weights fetch {name}")
