"""Importing files of weights into the cache: conversion, a test of the network, and the record."""

from __future__ import annotations

import logging
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any, Optional

import numpy as np

from fashionai.conversion.checkpoints import read_checkpoint
from fashionai.conversion.convert import convert
from fashionai.conversion.published import PublishedWeights
from fashionai.errors import WeightsError
from fashionai.files import atomic_path, content_hash, write_text
from fashionai.files.formats.array_lists import write_array_list
from fashionai.files.outputs import same_file
from fashionai.frameworks.mxnet import import_mxnet
from fashionai.models.parameter_files import read_parameters
from fashionai.models.zoo import build_network, output_names, parameter_shapes
from fashionai.weights.fingerprint import (
    PUBLISHED_FINGERPRINTS,
    check_fingerprint,
    fingerprint,
    input_pixels,
)
from fashionai.weights.store import (
    Record,
    Weights,
    check_content,
    read_cache,
    record_file,
    repair_hint,
    weights_file,
)

mx = import_mxnet()
log = logging.getLogger(__name__)

# The first bytes of a .params file of MXNet.
PARAMS_MAGIC = (0x112).to_bytes(8, "little")
# The number of classes of a network that is built only for the shapes of its other layers.
IMAGENET_CLASSES = 1000
COLOUR_CHANNELS = 3


def import_weights(
    model: str,
    file: Path,
    *,
    source: str,
    mean: Sequence[float],
    std: Sequence[float],
    published: Optional[PublishedWeights] = None,
    crop_fraction: Optional[float] = None,
    licence: str = "",
    bgr: bool = False,
) -> Weights:
    """Put a .params file or a PyTorch checkpoint into the cache for a network.

    ``source`` names the origin of the file; cached weights of the same source are
    replaced, with a warning if they are others. ``mean`` and ``std``, one number per
    channel for values in [0, 1], normalise the input. ``published`` are the published
    weights that the file holds, if that is known: the record takes the other properties
    from them, else ``crop_fraction`` and ``licence`` alone. With ``bgr`` the file, ``mean``
    and ``std`` have the channel order BGR, and all are reversed: networks of the cache take
    RGB. The caller must hold write_lock(model). Raises WeightsError, which names the
    parameter, for a file that does not fit, and ConfigError for an unknown network.
    """
    target = weights_file(model, source)
    if same_file(file, target):
        raise WeightsError(f"{file}: is the stored file itself, so it is not imported")
    replaced = next((each for each in read_cache(model).whole if each.file == target), None)
    reference = build_network(model, IMAGENET_CLASSES, input_pixels(model))
    parameters = _read_parameters(model, file, reference)
    classes = _count_classes(reference, parameters)
    if bgr:
        _reverse_channels(parameters, output_names(reference))
        mean, std = mean[::-1], std[::-1]
    with atomic_path(target) as temporary:
        _save(temporary, target, parameters)
        try:
            numbers = _checked_fingerprint(model, temporary, classes, source)
        except WeightsError as error:
            raise WeightsError(
                f"{file}: {error.message.replace(f'{temporary}: ', '')}", error.hint
            ) from None
        digits = content_hash(temporary.read_bytes())
        record_file(target).unlink(missing_ok=True)
    own = {"crop_fraction": crop_fraction, "licence": licence}
    record = Record(
        model=model,
        source=source,
        sha256=digits,
        mean=tuple(mean),
        std=tuple(std),
        classes=classes,
        fingerprint=tuple(numbers),
        **(_properties(published) if published is not None else own),
    )
    write_text(record_file(target), record.model_dump_json(indent=2) + "\n")
    if replaced is not None and replaced.record.sha256 != digits:
        log.warning("%s: replaces other weights of %s", model, source)
    return Weights(target, record)


def _properties(published: PublishedWeights) -> dict[str, Any]:
    """The fields of a record that are published beside the weights."""
    names = ("pixels", "crop_fraction", "interpolation", "licence")
    return {name: getattr(published, name) for name in names}


def verify_weights(weights: Weights) -> None:
    """Raise WeightsError unless hash and fingerprint of the weights are the recorded ones."""
    check_content(weights)
    record = weights.record
    found = fingerprint(record.model, weights.file, record.classes)
    try:
        check_fingerprint(found, record.fingerprint)
        check_fingerprint(found, PUBLISHED_FINGERPRINTS.get(record.source, found))
    except WeightsError as error:
        raise WeightsError(f"{weights.file}: {error}", repair_hint(record)) from None


def _save(file: Path, target: Path, parameters: dict[str, np.ndarray]) -> None:
    try:
        write_array_list(file, parameters)
    except OSError:
        raise WeightsError(f"{target}: cannot be written", "Is the disk full?") from None


def _checked_fingerprint(model: str, file: Path, classes: int, source: str) -> list[float]:
    """The fingerprint of a .params file.

    Raises WeightsError if it is zero, not finite, or not that of the published source.
    """
    numbers = fingerprint(model, file, classes)
    if not np.isfinite(numbers).all() or not any(numbers):
        raise WeightsError(f"the output of {model} with these weights is zero or not finite")
    check_fingerprint(numbers, PUBLISHED_FINGERPRINTS.get(source, numbers))
    return numbers


def _reverse_channels(parameters: dict[str, np.ndarray], output: Collection[str]) -> None:
    """Reverse the input channels of the first convolution and of a BatchNorm before it."""
    for name in parameters.keys() - set(output):
        shape = parameters[name].shape
        if len(shape) == 4 and shape[1] == COLOUR_CHANNELS:
            parameters[name] = parameters[name][:, ::-1]
        elif shape == (COLOUR_CHANNELS,):
            parameters[name] = parameters[name][::-1]


def _read_parameters(model: str, file: Path, reference: Any) -> dict[str, np.ndarray]:
    """The parameters of a file by Gluon's names, float32."""
    try:
        with open(file, "rb") as handle:
            start = handle.read(len(PARAMS_MAGIC))
    except OSError as error:
        raise WeightsError(f"{file}: cannot be read: {error.strerror}") from None
    if start == PARAMS_MAGIC:
        values = read_parameters(file)
        for name, value in values.items():
            # After a ReLU, NaN may not reach the output, where the fingerprint would show it.
            if not np.isfinite(value).all():
                raise WeightsError(f"{file}: {name} contains values that are not finite")
        return values
    tensors = read_checkpoint(file)
    try:
        return convert(model, tensors, parameter_shapes(reference))
    except WeightsError as error:
        raise WeightsError(f"{file}: {error.message}", error.hint) from None


def _count_classes(reference: Any, parameters: dict[str, np.ndarray]) -> int:
    """The number of classes of the output layer, 0 if the parameters have none."""
    found = [parameters[name] for name in output_names(reference) if name in parameters]
    return len(found[0]) if found else 0
