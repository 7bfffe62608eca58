"""Files into the cache: converted, tried, whole."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from fashionai.config import Config, DataConfig, save_config
from fashionai.config.sections import ModelConfig
from fashionai.conversion.convert import to_torch
from fashionai.errors import WeightsError
from fashionai.frameworks.mxnet import import_mxnet
from fashionai.models.zoo import build_network
from fashionai.weights.fingerprint import fingerprints_match, fixed_image, reduce_output
from fashionai.weights.pretrained import import_file, starting_weights
from fashionai.weights.store import cached_weights
from tests.support.commands import fashionai, files_of_at_most
from tests.support.networks import answers, make_parameters, with_parameters, write_parameters
from tests.support.torch_files import Calling, legacy_file, tensor, zip_file
from tests.support.weights import kept, refusal

mx = import_mxnet()
MODEL = "squeezenet1.1"
HALF = (0.5, 0.5, 0.5)


@pytest.fixture(scope="module")
def parameters() -> dict[str, np.ndarray]:
    return make_parameters(MODEL, classes=7)


@pytest.fixture(scope="module")
def tensors(parameters: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The same network in torchvision's names and shapes."""
    return to_torch(MODEL, parameters, HALF, HALF).tensors


@pytest.fixture
def images() -> np.ndarray:
    return np.random.default_rng(0).normal(size=(1, 3, 224, 224)).astype(np.float32)


def write_checkpoint(file: Path, tensors: dict[str, np.ndarray]) -> Path:
    if file.suffix == ".safetensors":
        save_file(tensors, file)
    else:
        form = legacy_file if file.suffix == ".pt" else zip_file
        file.write_bytes(form({n: tensor(value, n) for n, value in tensors.items()}))
    return file


# What is kept.


@pytest.mark.parametrize("name", ["a.params", "a.safetensors", "a.pth", "a.pt"])
def test_every_form_becomes_the_same_network(
    name: str,
    tmp_path: Path,
    home: Path,
    parameters: dict[str, np.ndarray],
    tensors: dict[str, np.ndarray],
    images: np.ndarray,
    capsys: pytest.CaptureFixture[str],
) -> None:
    file = tmp_path / name
    if file.suffix == ".params":
        write_parameters(file, parameters)
    else:
        write_checkpoint(file, tensors)
    assert fashionai("weights", "import", file, "--model", MODEL, "--mean", "0.5,0.4,0.3") == 0
    place = home / f"weights/{MODEL}/file-{name}.params"
    assert capsys.readouterr().out.splitlines() == [
        f"{MODEL}: file/{name}, 7 classes",
        "input: RGB, mean 0.5,0.4,0.3, standard deviation 0.229,0.224,0.225",
        "licence of the weights: unknown",
        f"stored as {place}",
    ]
    assert kept(home) == [f"{MODEL}/file-{name}.json", f"{MODEL}/file-{name}.params"]
    expected = answers(with_parameters(MODEL, parameters, classes=7), images)
    found = answers(build_network(MODEL, 7, 224, place), images)
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    assert np.abs(expected).max() > 0.01
    assert fashionai("weights", "verify") == 0
    assert capsys.readouterr().out == f"{MODEL}: file/{name} verified\n"


def test_the_fingerprint_is_of_the_outputs_of_the_network(
    tmp_path: Path, parameters: dict[str, np.ndarray]
) -> None:
    record = import_file(write_parameters(tmp_path / "a.params", parameters), MODEL).record
    logits = answers(with_parameters(MODEL, parameters, classes=7), fixed_image(224))[0]
    cosines = [[np.cos(k * (n + 0.5) * np.pi / 7) for n in range(7)] for k in range(8)]
    np.testing.assert_allclose(
        record.fingerprint, np.array(cosines) @ logits / np.sqrt(7), rtol=1e-4, atol=1e-6
    )


def test_fingerprints_differ_with_the_weights() -> None:
    rng = np.random.default_rng(0)
    answer = rng.normal(size=1000)
    assert fingerprints_match(reduce_output(answer * (1 + 1e-5)), reduce_output(answer))
    assert not fingerprints_match(reduce_output(answer[::-1]), reduce_output(answer))
    assert not fingerprints_match(reduce_output(rng.normal(size=1000)), reduce_output(answer))


def test_what_is_imported_again_replaces_and_the_newest_counts(
    tmp_path: Path,
    home: Path,
    parameters: dict[str, np.ndarray],
    caplog: pytest.LogCaptureFixture,
) -> None:
    first = import_file(write_parameters(tmp_path / "a.params", parameters), MODEL)
    import_file(tmp_path / "a.params", MODEL)
    import_file(write_parameters(tmp_path / "b.params", parameters), MODEL)
    assert [weights.record.source for weights in cached_weights(MODEL)] == [
        "file/b.params",
        "file/a.params",
    ]
    os.utime(first.file.with_suffix(".json"), (2e9, 2e9))
    assert cached_weights(MODEL)[0].file == first.file
    changed = {name: value * np.float32(1.1) for name, value in parameters.items()}
    assert not caplog.messages
    again = import_file(write_parameters(tmp_path / "a.params", changed), MODEL)
    assert caplog.messages == [f"{MODEL}: replaces other weights of file/a.params"]
    assert again.file == first.file
    assert again.record.fingerprint != first.record.fingerprint
    assert len(kept(home)) == 4


@pytest.mark.parametrize(
    ("one", "other"), [("best v1.params", "best-v1.params"), ("a/model.params", "a-model.params")]
)
def test_files_of_similar_names_do_not_replace_each_other(
    one: str, other: str, tmp_path: Path, parameters: dict[str, np.ndarray]
) -> None:
    (tmp_path / "a").mkdir()
    for name in (one, other):
        import_file(write_parameters(tmp_path / name, parameters), MODEL)
    assert {each.record.source for each in cached_weights(MODEL)} == {
        f"file/{one}",
        f"file/{other}",
    }
    import_file(tmp_path / one, MODEL)
    assert len(cached_weights(MODEL)) == 2


@pytest.mark.parametrize("model", [MODEL, "resnet18_v2"])
def test_weights_that_take_blue_first(model: str, tmp_path: Path, images: np.ndarray) -> None:
    """A flipped image through the original is the image through what is kept."""
    parameters = make_parameters(model, classes=3)
    file = write_parameters(tmp_path / "a.params", parameters)
    weights = import_file(file, model, (0.1, 0.2, 0.3), (0.4, 0.5, 0.6), bgr=True)
    assert weights.record.mean == (0.3, 0.2, 0.1)
    assert weights.record.std == (0.6, 0.5, 0.4)
    original = with_parameters(model, parameters, classes=3)
    found = answers(build_network(model, 3, 224, weights.file), images)
    np.testing.assert_allclose(found, answers(original, images[:, ::-1]), rtol=1e-4, atol=1e-5)
    assert not np.allclose(found, answers(original, images), rtol=1e-2)


def test_weights_of_a_run_bring_its_input_and_its_name(
    tmp_path: Path, parameters: dict[str, np.ndarray]
) -> None:
    """Every run has a best.params: one must not replace the other's."""
    for name in ("skirt", "pant"):
        run = tmp_path / name
        run.mkdir()
        data = DataConfig(mean=[0.5, 0.4, 0.3], std=[0.2, 0.2, 0.2], resize_short=280, crop=224)
        save_config(Config(task="skirt", data=data), run / "config.yaml")
        file = write_parameters(run / "best.params", parameters)
        record = import_file(file, MODEL).record
        assert (record.mean, record.std) == ((0.5, 0.4, 0.3), (0.2, 0.2, 0.2))
        assert record.crop_fraction == pytest.approx(0.8)
        model = ModelConfig(name=MODEL, pretrained=str(file))
        weights = starting_weights(Config(task="skirt", model=model))
        assert list(weights.mean) == [0.5, 0.4, 0.3]
    assert {each.record.source for each in cached_weights(MODEL)} == {
        "file/skirt/best.params",
        "file/pant/best.params",
    }


def test_the_known_mean_is_of_rgb(tmp_path: Path, parameters: dict[str, np.ndarray]) -> None:
    file = write_parameters(tmp_path / "a.params", parameters)
    assert import_file(file, MODEL, bgr=True).record.mean == (0.485, 0.456, 0.406)


@pytest.mark.parametrize("link", [os.link, os.symlink])
def test_the_stored_file_is_not_imported_into_itself(
    link: Callable[[Path, Path], None], tmp_path: Path, parameters: dict[str, np.ndarray]
) -> None:
    """With bgr its channels would be reversed once more."""
    stored = import_file(write_parameters(tmp_path / "a.params", parameters), MODEL, bgr=True)
    before = stored.file.read_bytes()
    (tmp_path / "a.params").unlink()
    link(stored.file, tmp_path / "a.params")
    with pytest.raises(WeightsError, match="is the stored file itself"):
        import_file(tmp_path / "a.params", MODEL, bgr=True)
    assert stored.file.read_bytes() == before


# What is refused: one line, and nothing kept.


def test_a_checkpoint_that_would_run_code(
    tmp_path: Path, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    mark = tmp_path / "mark"
    content = zip_file({"state_dict": {}, "hook": Calling(os.system, f"touch {mark}")})
    (tmp_path / "evil.pth").write_bytes(content)
    line = refusal(capsys, "import", tmp_path / "evil.pth", "--model", MODEL)
    assert line == (
        f"{tmp_path}/evil.pth: refers to posix.system, which a file of weights does not need; "
        "it was not run. Only a state dict of tensors can be read"
    )
    assert not mark.exists()
    assert kept(home) == []


def test_the_weights_of_another_network(
    tmp_path: Path,
    home: Path,
    parameters: dict[str, np.ndarray],
    tensors: dict[str, np.ndarray],
    capsys: pytest.CaptureFixture[str],
) -> None:
    params = write_parameters(tmp_path / "a.params", parameters)
    pth = write_checkpoint(tmp_path / "a.pth", tensors)
    for file, model, problem in (
        (params, "mobilenetv2_0.25", "parameters not found: features.1.beta, features.1.gamma"),
        (
            params,
            "squeezenet1.0",
            "parameters not found: features.5.0.0.bias, features.5.0.0.weight",
        ),
        (pth, "squeezenet1.0", "features."),
        (pth, "resnet18_v1b", "conv1.weight"),
        (pth, "mobilenetv2_0.25", "mobilenetv2_0.25 has no counterpart of equal architecture"),
    ):
        line = refusal(capsys, "import", file, "--model", model)
        assert line.startswith(f"{file}: {problem}"), line
    few = {name: value for name, value in tensors.items() if name != "features.3.squeeze.bias"}
    line = refusal(capsys, "import", write_checkpoint(tmp_path / "a.pth", few), "--model", MODEL)
    assert line.startswith(f"{tmp_path}/a.pth: features.3.squeeze.bias of squeezenet1_1 not found")
    more = {**tensors, "aux.weight": np.zeros(3, np.float32)}
    line = refusal(capsys, "import", write_checkpoint(tmp_path / "a.pth", more), "--model", MODEL)
    assert line.startswith(f"{tmp_path}/a.pth: squeezenet1_1 has no aux.weight")
    assert kept(home) == []


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("layer", ["features.0.weight", "output.0.weight"])
def test_numbers_that_are_not_finite(
    value: float,
    layer: str,
    tmp_path: Path,
    home: Path,
    parameters: dict[str, np.ndarray],
    capsys: pytest.CaptureFixture[str],
) -> None:
    """In the first layer a ReLU hides them from what the network answers."""
    damaged = {**parameters, layer: parameters[layer] * 0 + value}
    file = write_parameters(tmp_path / "a.params", damaged)
    line = refusal(capsys, "import", file, "--model", MODEL)
    assert line == f"{file}: {layer} contains values that are not finite"
    assert kept(home) == []


def test_weights_with_an_output_of_zero_are_refused(
    tmp_path: Path,
    home: Path,
    parameters: dict[str, np.ndarray],
    capsys: pytest.CaptureFixture[str],
) -> None:
    useless = {**parameters, "output.0.weight": parameters["output.0.weight"] * 0}
    file = write_parameters(tmp_path / "a.params", useless)
    line = refusal(capsys, "import", file, "--model", MODEL)
    assert line == f"{file}: the output of {MODEL} with these weights is zero or not finite"
    assert kept(home) == []


def test_a_file_that_is_cut_off(
    tmp_path: Path,
    home: Path,
    parameters: dict[str, np.ndarray],
    tensors: dict[str, np.ndarray],
    capsys: pytest.CaptureFixture[str],
) -> None:
    for file in (
        write_parameters(tmp_path / "a.params", parameters),
        write_checkpoint(tmp_path / "a.safetensors", tensors),
        write_checkpoint(tmp_path / "a.pth", tensors),
    ):
        whole = file.read_bytes()
        for length in (0, 5, 100, len(whole) // 2, len(whole) - 1):
            file.write_bytes(whole[:length])
            line = refusal(capsys, "import", file, "--model", MODEL)
            assert line.startswith(f"{file}: ")
    line = refusal(capsys, "import", tmp_path / "none.pth", "--model", MODEL)
    assert line == f"{tmp_path}/none.pth: no such file"
    assert kept(home) == []


def test_a_folder_that_cannot_be_written(
    tmp_path: Path,
    parameters: dict[str, np.ndarray],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    file = write_parameters(tmp_path / "a.params", parameters)
    monkeypatch.setenv("FASHIONAI_HOME", str(file))
    for arguments in (["import", file, "--model", MODEL], ["fetch", MODEL]):
        assert refusal(capsys, *arguments) == (
            f"{file}/weights: cannot be written (Not a directory). "
            "Set FASHIONAI_HOME to a writable folder"
        )


def test_a_full_disk(
    tmp_path: Path,
    home: Path,
    parameters: dict[str, np.ndarray],
    capsys: pytest.CaptureFixture[str],
) -> None:
    file = write_parameters(tmp_path / "a.params", parameters)
    with files_of_at_most(1_000_000):
        line = refusal(capsys, "import", file, "--model", MODEL)
    place = home / f"weights/{MODEL}/file-a.params.params"
    assert line == f"{place}: cannot be written. Is the disk full?"
    assert kept(home) == []
