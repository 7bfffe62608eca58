"""The folder of weights: where it is, what is found there, and how it is listed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from fashionai.models.catalogue import CATALOGUE
from fashionai.runtime import home_folder, zoo_cache_folder
from fashionai.weights.pretrained import import_file
from fashionai.weights.store import find_local_file, zoo_cache_file
from tests.support.commands import fashionai
from tests.support.networks import make_parameters, write_parameters

MODEL = "mobilenetv2_0.25"


@pytest.fixture(scope="module")
def parameters() -> dict[str, np.ndarray]:
    return make_parameters(MODEL)


def test_what_the_zoos_have_fetched_is_found(tmp_path: Path) -> None:
    (tmp_path / "mxnet/models").mkdir(parents=True)
    file = tmp_path / "mxnet/models/resnet50_v2-ecdde353.params"
    assert find_local_file("resnet50_v2") is None
    file.write_bytes(b"")
    (tmp_path / "mxnet/models/resnet18_v2-00000000.params").write_bytes(b"")  # another version
    assert find_local_file("resnet50_v2") == file
    assert find_local_file("resnet18_v2") is None
    assert find_local_file("small_cnn") is None


@pytest.mark.parametrize("name", ["cache", "~/cache", "{tmp_path}/cache"])
def test_the_folder_may_be_relative_or_below_the_users(
    name: str,
    tmp_path: Path,
    parameters: dict[str, np.ndarray],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("FASHIONAI_HOME", name.format(tmp_path=tmp_path))
    assert fashionai("weights", "where") == 0
    assert capsys.readouterr().out == f"{tmp_path}/cache/weights\n"
    import_file(write_parameters(tmp_path / "a.params", parameters), MODEL)
    assert (tmp_path / f"cache/weights/{MODEL}/file-a.params.json").is_file()
    found = find_local_file(MODEL)
    assert found is not None
    assert found.samefile(tmp_path / f"cache/weights/{MODEL}/file-a.params.params")


def test_without_a_folder_of_its_own_the_users_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("FASHIONAI_HOME")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "caches"))
    fashionai("weights", "where")
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    fashionai("weights", "where")
    assert capsys.readouterr().out.splitlines() == [
        f"{tmp_path}/caches/fashionai/weights",
        f"{tmp_path}/.cache/fashionai/weights",
    ]


@pytest.fixture
def homeless(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The empty current folder of a user without HOME and without an entry in passwd."""

    def unknown(uid: int) -> object:
        raise KeyError(f"getpwuid(): uid not found: {uid}")

    monkeypatch.setattr("pwd.getpwuid", unknown)
    for name in ("HOME", "FASHIONAI_HOME", "MXNET_HOME", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    return tmp_path / "here"


def test_a_user_without_a_home_folder(
    homeless: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """As in containers: / is their home, and no folder named ~ appears."""
    assert home_folder() == Path("/.cache/fashionai")
    assert zoo_cache_folder() == Path("/.mxnet/models")
    assert find_local_file("resnet50_v2") is None
    assert fashionai("weights", "where") == 0
    assert capsys.readouterr().out == "/.cache/fashionai/weights\n"
    for command in (("weights", "list", MODEL), ("models", MODEL)):
        assert fashionai(*command) == 0
        assert MODEL in capsys.readouterr().out
    assert fashionai("weights", "verify", MODEL) == 2
    assert "no weights of" in capsys.readouterr().err
    for name in ("FASHIONAI_HOME", "XDG_CACHE_HOME", "MXNET_HOME"):
        monkeypatch.setenv(name, "~nobody-of-this-name/cache")
    assert home_folder() == zoo_cache_folder().parent == Path("~nobody-of-this-name/cache")
    assert list(homeless.iterdir()) == []


def test_the_zoos_folder_of_another_user_is_empty(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: object, *arguments: object, **options: object) -> object:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr("os.stat", refuse)
    assert zoo_cache_file("resnet50_v2") is None


def test_the_list_names_publishers_and_marks_local_weights(
    tmp_path: Path, parameters: dict[str, np.ndarray], capsys: pytest.CaptureFixture[str]
) -> None:
    assert fashionai("weights", "list") == 0
    lines = capsys.readouterr().out.splitlines()
    cells = {line.split()[0]: line.split()[1:] for line in lines}
    assert cells["network"] == ["zoo", "hub", "torchvision", "package"]
    assert cells["mobilenetv2_1.0"] == ["Apache-2.0", "Apache-2.0", "BSD-3-Clause", "MIT"]
    assert cells["resnet50_v2"] == ["Apache-2.0", "Apache-2.0", "-", "-"]
    assert cells["squeezenet1.1"] == ["Apache-2.0", "-", "BSD-3-Clause", "-"]
    assert lines[-1] == "No local weights. Download some: fashionai weights fetch MODEL"
    assert not {"small_cnn", "resnet50_v1e"} & cells.keys()
    unpublished = {network.name for network in CATALOGUE if not network.weights}
    assert cells.keys() >= {n.name for n in CATALOGUE} - unpublished

    for name in ("old.params", "new.params"):
        import_file(write_parameters(tmp_path / name, parameters), MODEL)
    (tmp_path / "mxnet/models").mkdir(parents=True)
    (tmp_path / "mxnet/models/resnet50_v2-ecdde353.params").write_bytes(bytes(2_000_000))
    assert fashionai("weights", "list", "mobilenetv2_0.2", "small_cnn", "resnet50_v2") == 0
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 80
    table, here = lines[: lines.index("")], lines[lines.index("") + 1 :]
    assert [line.split()[:2] for line in table[1:-1]] == [
        [MODEL, "Apache-2.0"],
        ["small_cnn", "-"],
        ["resnet50_v2", "Apache-2.0"],
    ]
    megabytes = f"{sum(value.nbytes for value in parameters.values()) / 1e6:.0f}"
    assert [line.split() for line in here[:3]] == [
        ["local", "from", "licence", "MB"],
        [MODEL, "file/new.params", "unknown", megabytes],
        [MODEL, "file/old.params", "unknown", megabytes],
    ]
    last = here[3].split()
    assert last[1].endswith("/models/resnet50_v2-ecdde353.params")
    assert last[2:] == ["Apache-2.0", "2"]
