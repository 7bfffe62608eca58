"""Exports in the formats onnx and gluon, read by programs that do not use this project."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import types
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
from PIL import Image

from fashionai.engines.onnx_model import onnx_model
from fashionai.export import onnx as onnx_export
from fashionai.export.model_files import write_model
from fashionai.families import find_task
from fashionai.frameworks.mxnet import import_mxnet
from fashionai.predictions.predict import predict_images
from fashionai.runs import Run
from tests.support.commands import ROOT, fashionai
from tests.support.image_kinds import image_files
from tests.support.networks import make_run
from tests.support.prepared_data import write_two_tasks
from tests.support.references import naive_views
from tests.support.trained_runs import images_to_predict, replace_weights

mx = import_mxnet()

PAGE = (ROOT / "docs/predicting.md").read_text(encoding="utf-8")


@pytest.fixture
def run(trained: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.chdir(trained)
    return Run.open(Path("runs/skirt"))


@pytest.mark.filterwarnings("ignore:Cannot decide type")  # MXNet's, of every graph
def test_both_formats_compute_what_predict_does(
    run: Run, trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for format_name in ("onnx", "gluon"):
        out = tmp_path / format_name
        assert fashionai("export", "--run", run, "--format", format_name, "--out", out) == 0
        output = capsys.readouterr().out
        assert re.search(r"On 12 validation images, .* by at most \de-0[6-8],\n", output), output
        assert "100% of the images have the same most probable class" in output
    paths = images_to_predict(trained)
    expected = predict_images(paths, [run], [mx.cpu()], crops=1)[find_task("skirt")]
    crops = np.stack([naive_views(path, 1)[0] for path in paths])
    session = onnxruntime.InferenceSession(tmp_path / "onnx/model.onnx")
    np.testing.assert_allclose(session.run(None, {"images": crops})[0], expected, atol=1e-5)
    files = [str(tmp_path / "gluon" / f"model-{end}") for end in ("symbol.json", "0000.params")]
    block = mx.gluon.SymbolBlock.imports(files[0], ["data"], files[1])
    probabilities = block(mx.nd.array(crops, dtype="uint8")).asnumpy()
    np.testing.assert_allclose(probabilities, expected, atol=1e-5)


READ_GLUON = """
import fashionai.mxnet_compat
import mxnet

files = ["out/model-symbol.json", "out/model-0000.params"]
network = mxnet.gluon.SymbolBlock.imports(files[0], ["data"], files[1])
print(network(mxnet.nd.zeros((2, 32, 32, 3), dtype="uint8")).asnumpy().sum(axis=1).round(3))
print([name for name in vars(fashionai.mxnet_compat) if not name.startswith("_")])
"""


def test_another_program_reads_a_gluon_export_after_one_import(run: Run, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert fashionai("export", "--run", run, "--format", "gluon", "--out", out) == 0
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", READ_GLUON],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path])},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.stdout, done.stderr) == ("[1. 1.]\n[]\n", "")


def run_the_pages_example(folder: Path, image: Path) -> subprocess.CompletedProcess[str]:
    (program,) = re.findall(r"^```python\n(.*?)^```", PAGE, flags=re.MULTILINE | re.DOTALL)
    assert len(program.splitlines()) <= 30
    home = folder / "home"
    home.mkdir(exist_ok=True)
    # As a user runs it: without the switch that the tests set for themselves.
    environment = {"PATH": os.environ["PATH"], "HOME": str(home)}
    return subprocess.run(
        [sys.executable, "-c", program, str(image)],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
    )


def output_of_the_pages_example(folder: Path, image: Path) -> list[list[str]]:
    """Task, class and probability of each line that it prints."""
    done = run_the_pages_example(folder, image)
    assert done.returncode == 0, done.stderr
    assert list((folder / "home").rglob("*")) == [], "ONNX Runtime wrote to the home folder"
    return [line.rsplit(maxsplit=2) for line in done.stdout.splitlines()]


def check_the_pages_example(run: Run, folder: Path, image: Path) -> None:
    """It prints what predict computes for one crop, task by task."""
    assert fashionai("export", "--run", run, "--format", "onnx", "--out", folder / "exported") == 0
    expected = predict_images([image], [run], [mx.cpu()], crops=1, engine="gluon")
    lines = output_of_the_pages_example(folder, image.resolve())
    assert len(lines) == len(expected)
    for (name, label, probability), (task, (own,)) in zip(lines, expected.items()):
        assert (name, label) == (task.name, task.classes[own.argmax()])
        assert float(probability) == pytest.approx(own.max(), abs=1e-5)


def test_the_pages_example_computes_what_predict_does(
    run: Run, trained: Path, tmp_path: Path
) -> None:
    check_the_pages_example(run, tmp_path, images_to_predict(trained)[0])


def test_the_pages_example_reads_files_as_predict_does(run: Run, tmp_path: Path) -> None:
    assert (
        fashionai("export", "--run", run, "--format", "onnx", "--out", tmp_path / "exported") == 0
    )
    assert json.loads((tmp_path / "exported/model.json").read_text())["background"] == [255] * 3
    files = image_files(tmp_path)
    (expected,) = predict_images(list(files.values()), [run], [mx.cpu()], crops=1).values()
    for name, own in zip(files, expected):
        ((_, label, probability),) = output_of_the_pages_example(tmp_path, files[name])
        assert label == find_task("skirt").classes[own.argmax()], name
        assert float(probability) == pytest.approx(own.max(), abs=1e-4), name


def test_the_pages_example_reads_a_transparent_image_with_an_orientation_as_one_without(
    run: Run, tmp_path: Path
) -> None:
    assert (
        fashionai("export", "--run", run, "--format", "onnx", "--out", tmp_path / "exported") == 0
    )
    picture = Image.open(image_files(tmp_path)["rgba.png"])
    orientation = Image.Exif()
    orientation[0x0112] = 6
    picture.save(tmp_path / "marked.png", exif=orientation)
    plain, marked = (
        output_of_the_pages_example(tmp_path, tmp_path / name)
        for name in ("rgba.png", "marked.png")
    )
    assert marked == plain


def test_the_pages_example_takes_several_tasks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Images are enlarged here, and shrunk above."""
    monkeypatch.chdir(tmp_path)
    write_two_tasks(tmp_path)
    run = make_run(tmp_path, "mobilenet0.25")
    check_the_pages_example(run, tmp_path, images_to_predict(tmp_path)[0])


def test_the_description_holds_what_is_needed_to_use_the_model(run: Run, tmp_path: Path) -> None:
    assert fashionai("export", "--run", run, "--format", "onnx", "--out", tmp_path / "out") == 0
    described = json.loads((tmp_path / "out/model.json").read_text())
    shape = ["N", 32, 32, 3]
    assert described["input"] == {
        "name": "images", "shape": shape, "dtype": "uint8", "colours": "RGB"
    }  # fmt: skip
    assert described["classes"] == {"skirt_length_labels": list(find_task("skirt").classes)}
    assert described["columns"] == {"skirt_length_labels": [0, 6]}
    assert (described["resize_short"], described["crop"]) == (40, 32)
    assert described["environment"] == {"ORT_DISABLE_TELEMETRY": "1"}
    assert described["interpolation"] == {"shrinking": "area", "growing": "cubic"}
    assert sorted(file.name for file in (tmp_path / "out").iterdir()) == [
        "model.json",
        "model.onnx",
    ]


def test_a_model_with_other_probabilities_is_not_written(
    run: Run,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """As when mx.onnx converts an operator wrongly."""
    other = Run.open(Path(shutil.copytree(run.path, tmp_path / "other")))
    weights = mx.nd.load(str(other.weights_file))
    weights["features.0.weight"] *= 1.1
    replace_weights(other.path, weights)
    wrong = onnx_model(other)
    monkeypatch.setattr(onnx_export, "onnx_model", lambda run: wrong)
    assert fashionai("export", "--run", run, "--format", "onnx", "--out", tmp_path / "out") == 2
    error = capsys.readouterr().err
    assert re.search(
        r"in format onnx differ .* by up to .*, expected at most 0.0001; nothing was written", error
    )
    assert not (tmp_path / "out").exists()


def test_a_file_in_the_place_of_the_folder_is_refused(
    run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "out"
    file.write_text("mine")
    assert fashionai("export", "--run", run, "--format", "gluon", "--out", file) == 2
    assert "out: is a file, expected a folder to write to" in capsys.readouterr().err
    assert file.read_text() == "mine"


def test_the_pages_example_refuses_what_is_no_image(run: Run, tmp_path: Path) -> None:
    assert (
        fashionai("export", "--run", run, "--format", "onnx", "--out", tmp_path / "exported") == 0
    )
    (tmp_path / "notes.jpg").write_text("no image")
    done = run_the_pages_example(tmp_path, tmp_path / "notes.jpg")
    assert done.returncode == 1
    assert done.stderr == f"{tmp_path}/notes.jpg: not an image that OpenCV can read\n"


DIE = """\
import os, signal, sys
from pathlib import Path
from fashionai.files import atomic_path
with atomic_path(Path(sys.argv[1])) as temporary:
    temporary.write_text("{")
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_killed_export_is_repeated_into_the_same_folder(run: Run, tmp_path: Path) -> None:
    """The model has its name already, its description has not."""
    out = tmp_path / "out"
    out.mkdir()
    export = ("export", "--run", run, "--format", "onnx", "--out", out)
    subprocess.run([sys.executable, "-c", DIE, out / "model.json"])
    (out / "model.onnx").write_bytes(b"whole")
    (out / "mine.txt").write_text("")
    assert fashionai(*export) == 2
    (out / "mine.txt").unlink()
    assert fashionai(*export) == 0
    assert sorted(file.name for file in out.iterdir()) == ["model.json", "model.onnx"]
    # A whole export is replaced, also beside files of others.
    (out / "mine.txt").write_text("")
    assert fashionai(*export) == 0


@pytest.mark.filterwarnings("ignore:Cannot decide type")  # MXNet's, of every graph
def test_an_earlier_export_is_replaced_and_nothing_else_is_touched(
    run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    out.mkdir()

    def export(format_name: str) -> object:
        return fashionai("export", "--run", run, "--format", format_name, "--out", out)

    def names() -> list[str]:
        return sorted(file.name for file in out.iterdir())

    (out / "mine.txt").write_text("mine")
    assert export("onnx") == 2
    assert "out: is not empty and holds no earlier export. Name " in capsys.readouterr().err
    (out / "mine.txt").unlink()
    assert export("onnx") == 0
    size = (out / "model.onnx").stat().st_size
    (out / "mine.txt").write_text("mine")
    (out / "model.onnx").write_bytes(b"older")
    assert export("onnx") == 0
    # The names of layers, which have numbers, may have other lengths.
    assert (out / "model.onnx").stat().st_size == pytest.approx(size, rel=0.01)
    # The files of the other format do not stay behind.
    assert export("gluon") == 0
    assert names() == ["mine.txt", "model-0000.params", "model-symbol.json", "model.json"]
    (out / "model.onnx").write_bytes(b"mine")
    assert export("onnx") == 2
    assert "model.onnx: is not part of the earlier export there" in capsys.readouterr().err
    assert (out / "model.onnx").read_bytes() == b"mine"
    assert (out / "mine.txt").read_text() == "mine"
    assert json.loads((out / "model.json").read_text())["format"] == "gluon"


def test_a_file_that_cannot_be_written_leaves_none(run: Run, tmp_path: Path) -> None:
    too_long = "x" * 300
    with pytest.raises(OSError, match="File name too long"):
        write_model(run, tmp_path / "out", {"model.onnx": b"1", too_long: b"2"}, {})
    assert list((tmp_path / "out").iterdir()) == []


@pytest.mark.parametrize(
    ("modules", "message"),
    [
        ({"onnx": None}, r"onnx is not installed\. Run: pip install 'fashionai\[onnx\]'"),
        ({"onnxruntime": None}, "onnxruntime is not installed"),
        (
            {"onnx": types.SimpleNamespace(__version__="1.17.0")},
            r"onnx 1\.17\.0 is installed, MXNet 1\.9\.1 needs a version below 1\.17",
        ),
    ],
)
def test_what_is_not_installed_is_named(
    run: Run,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    modules: dict[str, object],
    message: str,
) -> None:
    for name, module in modules.items():
        monkeypatch.setitem(sys.modules, name, module)
    assert fashionai("export", "--run", run, "--format", "onnx", "--out", tmp_path / "out") == 2
    error = capsys.readouterr().err
    assert len(error.splitlines()) == 1
    assert re.search(message, error), error
    assert not (tmp_path / "out").exists()
