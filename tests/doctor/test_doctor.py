"""fashionai doctor finds each planted fault, and names the command that mends it."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from fashionai.config import load_config
from fashionai.doctor import examine as examining
from fashionai.doctor import installation, training
from fashionai.doctor.data import (
    check_images,
    check_labels,
    check_prepared,
    compare_with_chance,
)
from fashionai.doctor.findings import ERROR, OK, SKIPPED, WARNING, Finding
from fashionai.doctor.place import bytes_of_run, check_disk, check_run_folder
from fashionai.doctor.weights import check_weights
from fashionai.files.locks import locked
from fashionai.frameworks import mxnet
from fashionai.frameworks.driver import Gpu, describe_gpus
from fashionai.frameworks.mxnet import import_mxnet
from tests.support.commands import fashionai
from tests.support.machines import HOPPER, have_driver, have_torch, install

mx = import_mxnet()

H200 = Gpu("NVIDIA H200", (9, 0), 150.1)
V100 = Gpu("Tesla V100", (7, 0), 16.9)


def one(findings: object) -> Finding:
    (finding,) = findings  # type: ignore[misc, attr-defined]
    assert isinstance(finding, Finding)
    return finding


def examined(
    capsys: pytest.CaptureFixture[str], *arguments: object
) -> tuple[object, dict[str, dict[str, str]]]:
    """The exit code, and the last finding of each check."""
    code = fashionai("doctor", "--config", "small.yaml", "--json", *arguments)
    described = json.loads(capsys.readouterr().out)
    assert described["safe"] == (code == 0)
    return code, {each["check"]: each for each in described["checks"]}


def test_a_training_that_would_work_is_safe(
    skirts: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = sorted(skirts.rglob("*"))
    code, checks = examined(capsys)
    assert code == 0
    assert {name for name, each in checks.items() if each["verdict"] == ERROR} == set()
    assert checks["data"]["found"].endswith(": 84 training images, 12 validation images")
    assert "images/s on cpu(0)" in checks["steps"]["found"]
    assert checks["one batch"]["verdict"] == OK
    assert sorted(skirts.rglob("*")) == before


def examined_machine(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> tuple[object, dict[str, dict[str, str]]]:
    """As examined, without a configuration, in a folder without data."""
    monkeypatch.chdir(folder)
    code = fashionai("doctor", "--json")
    described = json.loads(capsys.readouterr().out)
    return code, {each["check"]: each for each in described["checks"]}


def test_lines_fit_a_terminal_and_name_the_command(
    skirts: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    diverging = ["optimizer.lr=1e6", "data.mean=[0.5, 0.5, 0.5]"]
    assert fashionai("doctor", "--config", "small.yaml", *diverging) == 1
    output = capsys.readouterr().out
    assert max(len(line) for line in output.splitlines() if "->" not in line) <= 80
    command = "fashionai find-lr --config small.yaml optimizer.lr=1e6 'data.mean=[0.5, 0.5, 0.5]'"
    assert f"-> {command}\n" in output
    assert output.endswith("\nNot safe to start: see the errors above\n")


def test_the_machine_alone_is_checked_without_a_configuration(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert fashionai("doctor") == 0
    assert "numpy 1." in capsys.readouterr().out
    assert list(tmp_path.iterdir()) == []


# The planted faults, one by one.


def test_no_weights(skirts: Path) -> None:
    config = load_config(skirts / "small.yaml", ["model.pretrained=true"])
    finding = check_weights(config, "small.yaml")
    assert finding.verdict == ERROR
    assert finding.mend == "fashionai train --config small.yaml model.pretrained=false"
    config = config.changed({"model.name": "mobilenetv2_1.0"})
    finding = check_weights(config, "x")
    assert (finding.verdict, finding.mend) == (WARNING, "fashionai weights fetch mobilenetv2_1.0")
    assert "train downloads them first: its weights are published by " in finding.found
    config = config.changed({"model.pretrained": "no-such.params"})
    assert check_weights(config, "x").found == "no-such.params: does not exist"


def test_two_builds_of_mxnet(
    skirts: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    install(monkeypatch, "mxnet", "mxnet-cu112")
    code, checks = examined(capsys)
    assert code == 1
    assert checks["mxnet"]["verdict"] == ERROR
    assert checks["mxnet"]["mend"].startswith("pip uninstall -y mxnet mxnet-cu112, then ")
    assert checks["training"]["verdict"] == SKIPPED


def test_numpy_2(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(np, "__version__", "2.1.0")
    finding = installation.check_mxnet()
    assert (finding.verdict, finding.mend) == (ERROR, "pip install 'numpy<2'")


def test_one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(installation, "usable_cores", lambda: 8)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    finding = installation.check_threads()
    assert finding.verdict == WARNING
    assert finding.found.startswith("1 of 8 cores compute")
    assert finding.mend == "unset OMP_NUM_THREADS"
    monkeypatch.delenv("OMP_NUM_THREADS")
    monkeypatch.undo()
    assert installation.check_threads().found.split()[0] == str(installation.compute_threads())


def test_a_gpu_that_mxnet_cannot_use_goes_to_pytorch(monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, "mxnet-cu112")
    have_driver(monkeypatch, V100, H200)
    have_torch(monkeypatch, [(7, 0), (9, 0)], HOPPER)
    use_fake_torch(monkeypatch)
    older, newer = installation.check_gpus(describe_gpus())
    assert newer.verdict == OK
    assert newer.found == "GPU 1: NVIDIA H200, compute capability 9.0, 150 GB: engine torch"
    assert older.found == "GPU 0: Tesla V100, compute capability 7.0, 17 GB: engine gluon"


def test_a_gpu_that_no_framework_can_use(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The driver finds it, MXNet has no code for it, and PyTorch is not installed."""
    install(monkeypatch, "mxnet-cu112")
    monkeypatch.setattr(mxnet, "_load_driver", lambda: None)
    # PyTorch's build for GPUs brings libraries in the same place.
    monkeypatch.setattr(mxnet, "_load_cuda_wheels", lambda: None)
    have_driver(monkeypatch, H200)
    monkeypatch.setattr(installation, "has_torch", lambda: False)
    _, checks = examined_machine(tmp_path, monkeypatch, capsys)
    assert checks["gpus"]["verdict"] == WARNING
    assert "PyTorch is not installed" in checks["gpus"]["found"]
    assert checks["gpus"]["mend"].startswith("Run ./scripts/setup.sh --torch")


def test_torch_without_gpu_support(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The driver finds a GPU, and the installed PyTorch, which is the CPU's build, does not."""
    torch = pytest.importorskip("torch")
    have_driver(monkeypatch, H200)
    code, checks = examined_machine(tmp_path, monkeypatch, capsys)
    assert code == 0
    assert checks["gpus"]["verdict"] == WARNING
    assert checks["gpus"]["found"].endswith(
        f"not used: PyTorch {torch.__version__} does not find it"
    )
    assert checks["gpus"]["mend"] == "Run ./scripts/setup.sh --torch: a CUDA build"


def use_fake_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    """What have_torch has planted, where doctor looks for it."""
    from fashionai.frameworks import torch as planted

    monkeypatch.setattr(installation, "has_torch", lambda: True)
    monkeypatch.setattr(installation, "import_torch", planted.import_torch)


def test_a_gpu_that_is_not_there(
    skirts: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(examining, "describe_gpus", lambda: [])
    code, checks = examined(capsys, "--gpus", "3")
    assert code == 1
    assert checks["device"]["found"] == "GPU 3 was asked for, found none"
    assert checks["device"]["mend"] == "nvidia-smi; or give --device cpu"
    assert fashionai("doctor", "--config", "skirt", "--gpus", "3") == 1
    lines = capsys.readouterr().out.splitlines()
    at = lines.index(f"{'':<8} -> nvidia-smi")
    assert lines[at + 1] == f"{'':<8}    or give --device cpu"


def test_a_full_disk(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert check_disk(tmp_path, 1).verdict == OK
    usage = SimpleNamespace(total=10**9, used=10**9 - 10**6, free=10**6)
    monkeypatch.setattr(shutil, "disk_usage", lambda place: usage)
    code, checks = examined_machine(tmp_path, monkeypatch, capsys)
    assert code == 1
    assert checks["disk"]["verdict"] == ERROR
    assert checks["disk"]["mend"].startswith("du -sh ./*")
    finding = check_disk(tmp_path / "my runs" / "new", 10**9)
    assert finding.mend.startswith(f"du -sh '{tmp_path}/my runs'/*")


def test_the_bytes_of_a_run_are_those_of_a_real_one(trained: Path) -> None:
    """The state is counted twice, because it is written beside the former one."""
    run = trained / "runs/skirt"
    parameters = (run / "best.params").stat().st_size
    written = sum(file.stat().st_size for file in run.iterdir())
    state = (run / "last.states.npz").stat().st_size
    needed = bytes_of_run(parameters, adam=False, averaged=False)
    assert written + state == pytest.approx(needed - 10_000_000, rel=0.1)


def test_a_changed_data_folder(skirts: Path, capsys: pytest.CaptureFixture[str]) -> None:
    image = next((skirts / "data/train_valid/skirt_length_labels/train").glob("*/*.jpg"))
    image.rename(image.with_name("other.jpg"))
    code, checks = examined(capsys)
    assert code == 1
    assert checks["data"]["verdict"] == ERROR
    assert checks["data"]["mend"] == "fashionai prepare --task skirt_length_labels"
    assert checks["training"]["verdict"] == SKIPPED


def test_a_damaged_image(skirts: Path, capsys: pytest.CaptureFixture[str]) -> None:
    image = next((skirts / "data/train_valid/skirt_length_labels/val").glob("*/*.jpg"))
    content = image.read_bytes()
    image.unlink()
    image.write_bytes(content[:300])
    code, checks = examined(capsys)
    assert code == 1
    assert image.name in checks["images"]["found"]
    assert checks["images"]["mend"] == "fashionai prepare --task skirt_length_labels"


def test_shuffled_labels(skirts: Path) -> None:
    """The same files with the same names, each with the image of another."""
    config = load_config(skirts / "small.yaml")
    _, splits = check_prepared(config)
    assert splits is not None
    assert one(check_labels(splits, "look")).verdict == OK
    paths = splits.train.paths
    contents = [path.read_bytes() for path in paths]
    for path, other in zip(paths, np.random.default_rng(1).permutation(len(paths)).tolist()):
        path.unlink()
        path.write_bytes(contents[other])
    _, mixed = check_prepared(config)
    assert mixed is not None
    finding = one(check_labels(mixed, "fashionai preview --config small.yaml"))
    assert finding.verdict == WARNING
    assert finding.found.endswith("labels may not belong to their images")
    assert finding.mend == "fashionai preview --config small.yaml"


def test_random_labels_rarely_pass_for_real_ones() -> None:
    rng = np.random.default_rng(0)
    shares = [
        compare_with_chance(rng.normal(size=(60, 30)), rng.integers(0, 3, 60))[2] for _ in range(40)
    ]
    # For random labels the share is uniform on [0, 1].
    assert sum(share <= 0.02 for share in shares) <= 4
    assert 0.3 < float(np.mean(shares)) < 0.7


def test_imbalanced_classes_give_no_advantage() -> None:
    rng = np.random.default_rng(0)
    classes = (rng.random(200) < 0.1).astype(np.int64)
    accuracy, by_chance, _ = compare_with_chance(rng.normal(size=(200, 20)), classes)
    assert accuracy == pytest.approx(by_chance, abs=0.1)


def test_a_learning_rate_that_diverges(skirts: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, checks = examined(capsys, "optimizer.lr=1e6")
    assert code == 1
    assert checks["one batch"]["verdict"] == ERROR
    assert checks["one batch"]["mend"] == "fashionai find-lr --config small.yaml optimizer.lr=1e6"


def test_the_last_of_several_phases_is_measured(
    skirts: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    changes = ("trainable={head: 1, all: 3}", "epochs=4", "data.sizes=[[0, 16]]", "accumulate=9")
    _, checks = examined(capsys, *changes)
    assert "4 epochs" in checks["steps"]["found"]
    assert checks["one batch"]["verdict"] in (OK, WARNING)


def test_a_learning_rate_that_learns_nothing(
    skirts: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, checks = examined(capsys, "optimizer.lr=1e-7")
    assert code == 0
    assert checks["one batch"]["verdict"] == WARNING
    assert "find-lr" in checks["one batch"]["mend"]


def test_the_loss_of_one_batch_is_that_of_its_own_images(skirts: Path) -> None:
    """It falls to almost nothing, however many images the training has."""
    config = load_config(skirts / "small.yaml", ["optimizer.name=adam", "optimizer.lr=0.01"])
    _, splits = check_prepared(config)
    assert splits is not None
    losses = training.overfit(training._of_one_batch(config, 1), splits.train, [mx.cpu()], False)
    assert losses[-1] < losses[0] / 2
    assert len(losses) < training.OVERFIT_STEPS


def test_the_output_layer_alone_computes_features_once(
    skirts: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of 1,000 epochs the others take only what reading features and writing the run take."""
    monkeypatch.setattr("fashionai.doctor.training.measure_epochs", lambda learner: 100.0)
    options = ("data.augment=[]", "epochs=1000")
    _, alone = examined(capsys, "trainable=head", *options)
    _, whole = examined(capsys, *options)
    rates = [
        float(re.findall(r"([0-9.]+) images/s", checks["steps"]["found"])[0])
        for checks in (alone, whole)
    ]
    assert rates[1] == 100
    assert rates[0] > 4 * rates[1]


def test_whole_images_are_fine(skirts: Path) -> None:
    _, splits = check_prepared(load_config(skirts / "small.yaml"))
    assert splits is not None
    assert check_images(splits).found == "96 images decoded, none damaged"


def test_a_run_folder_that_cannot_be_written(tmp_path: Path) -> None:
    """/proc is read-only for everyone, root as well."""
    finding = check_run_folder(Path("/proc/run"))
    assert finding.verdict == ERROR
    assert finding.mend == "chmod u+w /proc, or give --run another folder"
    assert check_run_folder(tmp_path / "new").verdict == OK
    assert not (tmp_path / "new").exists()


def test_a_run_that_another_process_trains(tmp_path: Path) -> None:
    from fashionai.errors import RunError
    from fashionai.files.locks import LOCK_FILE

    with locked(tmp_path / LOCK_FILE, RunError("busy")):
        finding = check_run_folder(tmp_path)
    assert finding.verdict == ERROR
    assert "is being trained by another process" in finding.found


def test_gpus_are_described_by_the_driver(monkeypatch: pytest.MonkeyPatch) -> None:
    have_driver(monkeypatch, H200, V100)
    assert describe_gpus() == [H200, V100]
