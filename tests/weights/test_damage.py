"""Damage of the cache that is found later: in files, in records, in what networks answer."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from fashionai.errors import WeightsError
from fashionai.files import content_hash
from fashionai.weights import importing
from fashionai.weights.importing import verify_weights
from fashionai.weights.pretrained import import_file
from fashionai.weights.store import Weights, cached_weights
from tests.support.commands import fashionai
from tests.support.networks import make_parameters, write_parameters
from tests.support.weights import refusal

MODEL = "squeezenet1.1"


@pytest.fixture(scope="module")
def parameters() -> dict[str, np.ndarray]:
    return make_parameters(MODEL, classes=7)


@pytest.fixture
def weights(tmp_path: Path, parameters: dict[str, np.ndarray]) -> Weights:
    return import_file(write_parameters(tmp_path / "a.params", parameters), MODEL)


def flip_exponent(weights: Weights) -> None:
    """Change one bit of the last number but a few: of the layer of classes' weights."""
    content = bytearray(weights.file.read_bytes())
    position = content.rindex(np.float32(0.25).tobytes())
    content[position + 3] ^= 0x04
    weights.file.write_bytes(content)


def rewrite(weights: Weights, **values: object) -> None:
    file = weights.file.with_suffix(".json")
    file.write_text(json.dumps({**json.loads(file.read_text()), **values}))


def test_a_flipped_bit_is_found_by_the_hash_and_by_the_output(
    tmp_path: Path, parameters: dict[str, np.ndarray], capsys: pytest.CaptureFixture[str]
) -> None:
    marked = {name: value.copy() for name, value in parameters.items()}
    marked["output.0.weight"][3, 5] = 0.25
    weights = import_file(write_parameters(tmp_path / "a.params", marked), MODEL)
    flip_exponent(weights)
    hint = "Import the weights again, or delete the file and its .json"
    assert refusal(capsys, "verify") == (
        f"{weights.file}: the SHA-256 differs from the recorded one: the file is damaged. {hint}"
    )
    rewrite(weights, sha256=content_hash(weights.file.read_bytes()))
    line = refusal(capsys, "verify", MODEL)
    assert line.startswith(f"{weights.file}: the fingerprint of the weights is ")
    assert line.endswith(f": they are damaged or were converted incorrectly. {hint}")


def test_published_weights_have_a_fingerprint_that_no_record_changes(
    tmp_path: Path, weights: Weights, monkeypatch: pytest.MonkeyPatch
) -> None:
    right = {weights.record.source: weights.record.fingerprint}
    monkeypatch.setattr(importing, "PUBLISHED_FINGERPRINTS", right)
    verify_weights(weights)
    wrong = {weights.record.source: tuple(n + 1 for n in weights.record.fingerprint)}
    monkeypatch.setattr(importing, "PUBLISHED_FINGERPRINTS", wrong)
    with pytest.raises(WeightsError, match="were converted incorrectly"):
        verify_weights(weights)
    content = weights.file.read_bytes()
    with pytest.raises(WeightsError, match=r"a\.params: the fingerprint of the weights is"):
        import_file(tmp_path / "a.params", MODEL)
    assert weights.file.read_bytes() == content
    assert cached_weights(MODEL) == [weights]


@pytest.mark.parametrize(
    "values",
    [
        {"std": [0.5, 0, 0.5]},
        {"std": [0.5, 0.5]},
        {"mean": [float("nan")] * 3},
        {"mean": [123.7, 116.8, 103.9]},
        {"classes": -1},
        {"more": 1},
        {"fingerprint": "x"},
    ],
)
def test_a_record_that_is_none(
    weights: Weights, values: dict[str, object], capsys: pytest.CaptureFixture[str]
) -> None:
    rewrite(weights, **values)
    file = weights.file.with_suffix(".json")
    expected = f"{file}: not a record of weights. Delete the file and fetch the weights again"
    assert refusal(capsys, "verify") == expected


def test_a_damaged_record_hides_no_other_weights(
    tmp_path: Path,
    weights: Weights,
    parameters: dict[str, np.ndarray],
    capsys: pytest.CaptureFixture[str],
) -> None:
    import_file(write_parameters(tmp_path / "b.params", parameters), MODEL)
    rewrite(weights, classes=-1)
    for command in (("weights", "list"), ("models",)):
        assert fashionai(*command) == 0
        *lines, last = capsys.readouterr().out.splitlines()
        assert last.startswith(f"{weights.file.with_suffix('.json')}: not a record of weights. ")
        assert any(line.startswith("resnet50_v2 ") for line in lines)
        rows = [line for line in lines if line.startswith(f"{MODEL} ")]
        assert any("file/b.params" in row or " local " in row for row in rows)


def test_a_record_alone_and_weights_alone(
    weights: Weights, capsys: pytest.CaptureFixture[str]
) -> None:
    content = weights.file.read_bytes()
    weights.file.unlink()
    record = weights.file.with_suffix(".json")
    assert refusal(capsys, "verify") == (
        f"{record}: {weights.file.name} not found beside the record. "
        "Delete the record and fetch the weights again"
    )
    record.unlink()
    weights.file.write_bytes(content)  # was not finished: its record comes last
    assert cached_weights(MODEL) == []
    assert refusal(capsys, "verify", MODEL).endswith(
        "/weights: no weights of squeezenet1.1 to verify. Fetch or import weights first"
    )
