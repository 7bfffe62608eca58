"""Files of weights into the cache: converted where needed, tried, and only then put there."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from fashionai.conversion.checkpoints import read_checkpoint
from fashionai.conversion.convert import convert
from fashionai.errors import WeightsError
from fashionai.files import atomic_path, content_hash, write_text
from fashionai.models.zoo import build_network, output_names, read_parameters
from fashionai.runtime import import_mxnet
from fashionai.weights.fingerprint import fingerprint, input_pixels
from fashionai.weights.store import Record, Weights, check_content, place_of, record_file

mx = import_mxnet()

# How a .params file of MXNet begins.
PARAMS_START = (0x112).to_bytes(8, "little")
# Classes of ImageNet, for networks whose own number does not matter.
CLASSES = 1000


def import_weights(
    model: str, file: Path, *, source: str, mean: Sequence[float], std: Sequence[float]
) -> Weights:
    """Put a .params file or a PyTorch checkpoint into the cache for a network.

    ``source`` says where it comes from; weights that are in the cache from there
    are replaced. ``mean`` and ``std`` are of RGB in [0, 1]. Raises WeightsError
    that names what does not fit, ConfigError for an unknown network.
    """
    reference = build_network(model, CLASSES, input_pixels(model))
    parameters = _read(model, file, reference)
    classes = _count_classes(reference, parameters)
    target = place_of(model, source)
    with atomic_path(target) as temporary:
        mx.nd.save(str(temporary), {name: mx.nd.array(parameters[name]) for name in parameters})
        try:
            numbers = fingerprint(model, temporary, classes)
        except WeightsError as error:
            raise WeightsError(
                str(error).replace(str(temporary), str(file)), "Is it for another network?"
            ) from None
        if not np.isfinite(numbers).all() or not any(numbers):
            raise WeightsError(f"{file}: {model} answers nothing sensible with these weights")
        record_file(target).unlink(missing_ok=True)
    record = Record(
        model=model,
        source=source,
        sha256=content_hash(target.read_bytes()),
        mean=tuple(mean),
        std=tuple(std),
        classes=classes,
        fingerprint=tuple(numbers),
    )
    write_text(record_file(target), record.model_dump_json(indent=2) + "\n")
    return Weights(target, record)


def verify_weights(weights: Weights) -> None:
    """WeightsError unless the file is what was imported, and its network still answers the same."""
    from fashionai.weights.fingerprint import agrees

    check_content(weights)
    record = weights.record
    found = fingerprint(record.model, weights.file, record.classes)
    if not agrees(found, record.fingerprint):
        raise WeightsError(
            f"{weights.file}: {record.model} answers the fixed image with {_short(found)}, "
            f"expected {_short(record.fingerprint)}",
            f"Run: fashionai weights fetch {record.model}",
        )


def _read(model: str, file: Path, reference: Any) -> dict[str, np.ndarray]:
    """Parameters by Gluon's names, float32."""
    try:
        with open(file, "rb") as handle:
            start = handle.read(len(PARAMS_START))
    except OSError as error:
        raise WeightsError(f"{file}: cannot be read: {error.strerror}") from None
    if start == PARAMS_START:
        return {name: value.asnumpy() for name, value in read_parameters(file).items()}
    parameters = reference._collect_params_with_prefix()
    shapes = {name: parameter.shape for name, parameter in parameters.items()}
    tensors = read_checkpoint(file)
    try:
        return convert(model, tensors, shapes)
    except WeightsError as error:
        raise WeightsError(f"{file}: {error.message}", error.hint) from None


def _count_classes(reference: Any, parameters: dict[str, np.ndarray]) -> int:
    """As many as the output layer answers, 0 without one."""
    found = [parameters[name] for name in output_names(reference) if name in parameters]
    return len(found[0]) if found else 0


def _short(numbers: Sequence[float]) -> str:
    return ", ".join(f"{number:.4g}" for number in numbers[:3]) + ", ..."
