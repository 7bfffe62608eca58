"""Files of weights into the cache: converted where needed, tried, and only then put there."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from fashionai.conversion.checkpoints import read_checkpoint
from fashionai.conversion.convert import convert
from fashionai.errors import WeightsError
from fashionai.files import atomic_path, content_hash, write_text
from fashionai.models.parameter_files import save_arrays
from fashionai.models.zoo import build_network, output_names, parameter_shapes, read_parameters
from fashionai.runtime import import_mxnet
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
    place_of,
    record_file,
    ways_to_renew,
)

mx = import_mxnet()

# How a .params file of MXNet begins.
PARAMS_START = (0x112).to_bytes(8, "little")
# Classes of ImageNet, for networks whose own number does not matter.
CLASSES = 1000
COLOURS = 3


def import_weights(
    model: str,
    file: Path,
    *,
    source: str,
    mean: Sequence[float],
    std: Sequence[float],
    bgr: bool = False,
) -> Weights:
    """Put a .params file or a PyTorch checkpoint into the cache for a network.

    ``source`` says where it comes from; weights that are in the cache from there
    are replaced. ``mean`` and ``std`` are of channels in [0, 1], in the order of
    the file's, which with ``bgr`` is blue, green, red: it is turned round, as all
    networks of the cache take RGB. To be called under only_writer(model). Raises
    WeightsError that names what does not fit, ConfigError for an unknown network.
    """
    reference = build_network(model, CLASSES, input_pixels(model))
    parameters = _read(model, file, reference)
    classes = _count_classes(reference, parameters)
    if bgr:
        _turn_channels(parameters, output_names(reference))
        mean, std = mean[::-1], std[::-1]
    target = place_of(model, source)
    with atomic_path(target) as temporary:
        _save(temporary, target, parameters)
        try:
            numbers = _try(model, temporary, classes, source)
        except WeightsError as error:
            raise WeightsError(
                f"{file}: {error.message.replace(f'{temporary}: ', '')}", error.hint
            ) from None
        digits = content_hash(temporary.read_bytes())
        record_file(target).unlink(missing_ok=True)
    record = Record(
        model=model,
        source=source,
        sha256=digits,
        mean=tuple(mean),
        std=tuple(std),
        classes=classes,
        fingerprint=tuple(numbers),
    )
    write_text(record_file(target), record.model_dump_json(indent=2) + "\n")
    return Weights(target, record)


def verify_weights(weights: Weights) -> None:
    """WeightsError unless the file is what was imported, and its network still answers the same."""
    check_content(weights)
    record = weights.record
    found = fingerprint(record.model, weights.file, record.classes)
    try:
        check_fingerprint(found, record.fingerprint)
        check_fingerprint(found, PUBLISHED_FINGERPRINTS.get(record.source, found))
    except WeightsError as error:
        raise WeightsError(f"{weights.file}: {error}", ways_to_renew(record)) from None


def _save(file: Path, target: Path, parameters: dict[str, np.ndarray]) -> None:
    try:
        save_arrays(file, {name: mx.nd.array(parameters[name]) for name in parameters})
    except OSError:
        raise WeightsError(f"{target}: cannot be written", "Is the disk full?") from None


def _try(model: str, file: Path, classes: int, source: str) -> list[float]:
    """The fingerprint of a .params file; WeightsError when its answers make no sense."""
    numbers = fingerprint(model, file, classes)
    if not np.isfinite(numbers).all() or not any(numbers):
        raise WeightsError(f"{model} answers nothing sensible with these weights")
    check_fingerprint(numbers, PUBLISHED_FINGERPRINTS.get(source, numbers))
    return numbers


def _turn_channels(parameters: dict[str, np.ndarray], output: Collection[str]) -> None:
    """Turn the input's channels round: in the first convolution, and what normalises before it."""
    for name in parameters.keys() - set(output):
        shape = parameters[name].shape
        if len(shape) == 4 and shape[1] == COLOURS:
            parameters[name] = parameters[name][:, ::-1]
        elif shape == (COLOURS,):
            parameters[name] = parameters[name][::-1]


def _read(model: str, file: Path, reference: Any) -> dict[str, np.ndarray]:
    """Parameters by Gluon's names, float32."""
    try:
        with open(file, "rb") as handle:
            start = handle.read(len(PARAMS_START))
    except OSError as error:
        raise WeightsError(f"{file}: cannot be read: {error.strerror}") from None
    if start == PARAMS_START:
        values = {name: value.asnumpy() for name, value in read_parameters(file).items()}
        for name, value in values.items():
            # A ReLU would hide them from the answers.
            if not np.isfinite(value).all():
                raise WeightsError(f"{file}: {name} holds numbers that are not finite")
        return values
    tensors = read_checkpoint(file)
    try:
        return convert(model, tensors, parameter_shapes(reference))
    except WeightsError as error:
        raise WeightsError(f"{file}: {error.message}", error.hint) from None


def _count_classes(reference: Any, parameters: dict[str, np.ndarray]) -> int:
    """As many as the output layer answers, 0 without one."""
    found = [parameters[name] for name in output_names(reference) if name in parameters]
    return len(found[0]) if found else 0
