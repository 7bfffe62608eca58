"""Bundles: what is in them, that they compute as predict does, and that every change is found."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fashionai.bundles.archive import REQUIRED, pack, unpack
from fashionai.bundles.verify import verify
from fashionai.bundles.write import export_bundle
from fashionai.errors import DataError, WeightsError
from fashionai.frameworks.mxnet import import_mxnet
from fashionai.predictions.predict import predict_images
from fashionai.runs import Run
from tests.support.calibrations import scaled, write_calibration
from tests.support.commands import fashionai
from tests.support.image_kinds import image_files

mx = import_mxnet()

# The packages that a bundle's program may use, with the folders of their own libraries.
PACKAGES = (
    "cv2",
    "numpy",
    "numpy.libs",
    "opencv_python.libs",
    "opencv_python_headless.libs",
    "onnxruntime",
)
ISOLATED = """\
import runpy, sys
sys.path.append(sys.argv[1])
sys.argv = ["predict.py", *sys.argv[2:]]
runpy.run_path("predict.py", run_name="__main__")
"""


@pytest.fixture(scope="module")
def site_packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of packages with those that a bundle needs alone."""
    folder = tmp_path_factory.mktemp("site-packages")
    spec = importlib.util.find_spec("numpy")
    assert spec is not None
    assert spec.origin is not None
    installed = Path(spec.origin).parents[1]
    for name in PACKAGES:
        if (installed / name).exists():
            (folder / name).symlink_to(installed / name)
    return folder


def test_the_program_computes_what_predict_does_without_this_project(
    run: Run, bundle: Path, site_packages: Path, tmp_path: Path
) -> None:
    zipfile.ZipFile(bundle).extractall(tmp_path)
    images = [*image_files(tmp_path).values(), large_photograph(tmp_path)]
    command = [sys.executable, "-I", "-S", "-c", ISOLATED, str(site_packages), *map(str, images)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    (expected,) = predict_images(images, [run], [mx.cpu()], crops=1).values()
    (task,) = run.tasks
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert [line["image"] for line in lines] == [str(image) for image in images]
    for line, own in zip(lines, expected):
        classes = line["tasks"][task.name]
        found = [classes[name] for name in task.classes]
        np.testing.assert_allclose(found, own, atol=1e-4, err_msg=line["image"])
        assert next(iter(classes)) == task.classes[own.argmax()]
    assert len((tmp_path / "predict.py").read_text().splitlines()) <= 80


def test_a_calibrated_bundle_computes_what_a_calibrated_run_does(
    trained: Path, trained_cnn: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = Run.open(shutil.copytree(trained_cnn, tmp_path / "run"))
    factors = write_calibration(run)
    monkeypatch.chdir(trained)
    file = tmp_path / "skirt.zip"
    arguments = ("--run", run.path, "--format", "bundle", "--out", file, "--calibrated")
    assert fashionai("export", *arguments) == 0
    assert verify(file).difference < 1e-4
    members = unpack(file)
    card = members["model_card.md"].decode()
    fitted = "are calibrated, fitted on 12 images (validation split); their calibration error is"
    assert f"{fitted} 0.0321." in card
    assert "about 9 of 10" not in card
    assert "not calibrated" not in card
    zipfile.ZipFile(file).extractall(tmp_path)
    command = [sys.executable, "-I", "predict.py", "samples/1.png"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60)
    (task,) = run.tasks
    classes = json.loads(done.stdout)["tasks"][task.name]
    (own,) = predict_images([tmp_path / "samples/1.png"], [run], [mx.cpu()], crops=1).values()
    (expected,) = scaled(own, *factors)
    np.testing.assert_allclose([classes[name] for name in task.classes], expected, atol=1e-4)
    described = json.loads(members["model.json"])
    described["calibration"][task.name]["biases"][0] += 1
    file.write_bytes(pack({**members, "model.json": json.dumps(described).encode()}))
    with pytest.raises(WeightsError, match="differ by up to"):
        verify(file)


def test_a_calibration_that_a_bundle_cannot_show_is_named_once(
    trained: Path,
    trained_cnn: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Of data with a test split, two splits are scored."""
    run = Run.open(shutil.copytree(trained_cnn, tmp_path / "run"))
    write_calibration(run)
    file = run.folder.calibration_file
    file.write_text(json.dumps({**json.loads(file.read_text()), "crops": 10}))
    (manifest,) = shutil.copytree(trained / "data", tmp_path / "data").rglob("manifest.csv")
    shutil.copytree(manifest.parent / "val", manifest.parent / "test")
    lines = manifest.read_text().splitlines()
    tested = [line.replace("val", "test") for line in lines if line.startswith("val,")]
    manifest.write_text("\n".join([*lines, *tested, ""]))
    monkeypatch.chdir(tmp_path)
    export_bundle(run, tmp_path / "skirt.zip")
    card = unpack(tmp_path / "skirt.zip")["model_card.md"].decode()
    assert "| skirt_length_labels | test | 12 | mAP |" in card
    assert caplog.text.count("calibrated figures are left out") == 1


def test_other_formats_have_no_calibration(
    trained_cnn: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ("--run", trained_cnn, "--format", "onnx", "--out", tmp_path / "x", "--calibrated")
    assert fashionai("export", *arguments) == 2
    assert "--calibrated goes with --format bundle" in capsys.readouterr().err


def large_photograph(folder: Path) -> Path:
    """A JPEG that predict decodes at a quarter of its size."""
    pixels = np.random.default_rng(1).integers(0, 256, (7, 9, 3), np.uint8)
    Image.fromarray(pixels).resize((241, 190), Image.Resampling.BICUBIC).save(folder / "large.jpg")
    return folder / "large.jpg"


def test_a_whole_bundle_is_verified(bundle: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert fashionai("verify", bundle) == 0
    output = capsys.readouterr()
    assert re.search(r"9 files as written\n4 samples: .* by at most \de-\d\d\n$", output.out)
    assert output.err == ""


def test_the_checksums_are_those_that_other_programs_compute(bundle: Path) -> None:
    with zipfile.ZipFile(bundle) as archive:
        lines = archive.read("checksums.sha256").decode().splitlines()
        stated = dict(reversed(line.split("  ")) for line in lines)
        names = set(archive.namelist()) - {"checksums.sha256"}
        assert stated == {name: hashlib.sha256(archive.read(name)).hexdigest() for name in names}


def test_the_same_run_gives_the_same_bytes(
    bundle: Path, trained: Path, trained_cnn: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second export replaces the first: a bundle is an earlier result, other files are not."""
    before = bundle.read_bytes()
    monkeypatch.chdir(trained)
    arguments = ("export", "--run", trained_cnn, "--format", "bundle", "--out")
    assert fashionai(*arguments, bundle) == 0
    assert bundle.read_bytes() == before


@pytest.mark.parametrize("name", ["snacks", "snacks.v2"])
def test_a_name_that_tells_no_zip_file_is_refused(
    trained_cnn: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    file = tmp_path / name
    assert fashionai("export", "--run", trained_cnn, "--format", "bundle", "--out", file) == 2
    assert capsys.readouterr().err == (
        f"Error: --out {file}: a bundle is one zip file, expected a name that ends in .zip. "
        f"Give --out {file}.zip\n"
    )
    assert not file.exists()


def test_another_file_is_not_replaced(
    trained: Path, trained_cnn: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "notes.zip"
    file.write_text("mine")
    assert fashionai("export", "--run", trained_cnn, "--format", "bundle", "--out", file) == 2
    assert "exists and is not a bundle of fashionai. Name another file" in capsys.readouterr().err
    assert file.read_text() == "mine"


def small_members() -> dict[str, bytes]:
    return {name: name.encode() for name in (*REQUIRED, "samples/1.png")}


def test_a_changed_byte_is_found_wherever_it_is(tmp_path: Path) -> None:
    """Also in what lies between the members: dates, permissions, the list at the end."""
    whole, file = pack(small_members()), tmp_path / "bundle.zip"
    file.write_bytes(whole)
    assert unpack(file) == small_members()
    # A fifth of them: all take several seconds.
    for position in range(0, len(whole), 5):
        changed = bytearray(whole)
        changed[position] ^= 1 << position % 8
        file.write_bytes(changed)
        with pytest.raises(DataError):
            unpack(file)
    for other in (whole + b"\0", b"\0" + whole, whole[:-1], b""):
        file.write_bytes(other)
        with pytest.raises(DataError):
            unpack(file)


def test_a_changed_byte_is_named(bundle: Path, tmp_path: Path) -> None:
    members = {**unpack(bundle)}
    content = bundle.read_bytes()
    at = content.index(members["predict.py"]) + 100
    # With a right CRC, so that zipfile does not notice.
    changed = members["predict.py"][:100] + b"#" + members["predict.py"][101:]
    with zipfile.ZipFile(tmp_path / "changed.zip", "w") as archive:
        for name in zipfile.ZipFile(bundle).namelist():
            data = zipfile.ZipFile(bundle).read(name)
            archive.writestr(name, changed if name == "predict.py" else data)
    with pytest.raises(DataError, match=r"changed\.zip: predict\.py is not what checksums\.sha256"):
        verify(tmp_path / "changed.zip")
    (tmp_path / "flipped.zip").write_bytes(content[:at] + b"#" + content[at + 1 :])
    with pytest.raises(DataError, match=r"Bad CRC-32 for file 'predict\.py'"):
        verify(tmp_path / "flipped.zip")


@pytest.mark.parametrize(
    ("name", "message"),
    [("../evil.py", r"\.\./evil\.py is not part of a bundle"), ("/tmp/x", "is not part of")],
)
def test_a_member_with_a_path_of_its_own_is_refused(
    tmp_path: Path, name: str, message: str
) -> None:
    file = tmp_path / "bundle.zip"
    file.write_bytes(pack({**small_members(), name: b"1"}))
    with pytest.raises(DataError, match=message):
        verify(file)


def test_other_probabilities_than_the_stored_ones_are_found(bundle: Path, tmp_path: Path) -> None:
    """As after a fault of ONNX Runtime: the bytes are right, the sums too."""
    members = unpack(bundle)
    lines = members["samples/expected.jsonl"].decode()
    value = re.findall(r"0\.9\d+", lines)[0]
    members["samples/expected.jsonl"] = lines.replace(value, "0.1", 1).encode()
    (tmp_path / "other.zip").write_bytes(pack(members))
    with pytest.raises(WeightsError, match=r"differ by up to 0\.\d+ from the stored ones"):
        verify(tmp_path / "other.zip")


def test_a_probability_that_is_no_number_is_found_wherever_it_is(
    bundle: Path, tmp_path: Path
) -> None:
    members = unpack(bundle)
    first, second, *others = members["samples/expected.jsonl"].decode().splitlines()
    second = re.sub(r": [\d.e-]+\}", ": NaN}", second)
    assert "NaN" in second
    members["samples/expected.jsonl"] = "\n".join([first, second, *others, ""]).encode()
    (tmp_path / "other.zip").write_bytes(pack(members))
    with pytest.raises(WeightsError, match="differ by up to nan from the stored ones"):
        verify(tmp_path / "other.zip")


@pytest.mark.parametrize(
    "image", ["5", "null", r'"a\u0000b"', r'"\ud800"', '"/etc/passwd"', '"model.json"']
)
def test_only_images_of_the_bundle_are_computed(bundle: Path, tmp_path: Path, image: str) -> None:
    members = unpack(bundle)
    lines = members["samples/expected.jsonl"].decode().replace('"samples/1.png"', image)
    file = tmp_path / "other.zip"
    file.write_bytes(pack({**members, "samples/expected.jsonl": lines.encode()}))
    with pytest.raises(
        DataError, match=r"expected\.jsonl names .*, expected an image of samples/$"
    ):
        verify(file)


@pytest.mark.parametrize("value", ["1" * 400, "[" * 100_000])
def test_what_is_no_probability_is_named(bundle: Path, tmp_path: Path, value: str) -> None:
    line = f'{{"image": "samples/1.png", "tasks": {{"a": {{"b": {value}}}}}}}'
    file = tmp_path / "other.zip"
    file.write_bytes(pack({**unpack(bundle), "samples/expected.jsonl": line.encode()}))
    with pytest.raises(DataError, match="does not hold probabilities"):
        verify(file)


def test_a_bundle_without_tasks_is_named(bundle: Path, tmp_path: Path) -> None:
    """Its sums are right, and its program computes what it says: nothing."""
    members = unpack(bundle)
    description = {**json.loads(members["model.json"]), "columns": {}}
    members["model.json"] = json.dumps(description).encode()
    members["samples/expected.jsonl"] = b'{"image": "samples/1.png", "tasks": {}}'
    file = tmp_path / "other.zip"
    file.write_bytes(pack(members))
    with pytest.raises(DataError, match=r"expected\.jsonl has no probabilities of samples/1\.png$"):
        verify(file)


def test_a_program_of_another_version_is_not_run(
    bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    marker = tmp_path / "was-run"
    program = f"from pathlib import Path\nPath({str(marker)!r}).touch()\n".encode()
    (tmp_path / "other.zip").write_bytes(pack({**unpack(bundle), "predict.py": program}))
    assert fashionai("verify", tmp_path / "other.zip") == 0
    assert "is of another version of fashionai" in capsys.readouterr().err
    assert not marker.exists()


@pytest.mark.parametrize("content", [b"no zip", b"PK\x05\x06" + bytes(18)])
def test_what_is_no_bundle_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: bytes
) -> None:
    (tmp_path / "x.zip").write_bytes(content)
    assert fashionai("verify", tmp_path / "x.zip") == 2
    error = capsys.readouterr().err
    assert re.match(r"Error: .*x\.zip: (damaged, or not a zip|not a bundle of fashionai)", error)
