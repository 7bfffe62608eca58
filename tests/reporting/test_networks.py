"""The table of networks as a user sees it."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest

from fashionai.models.catalogue import CATALOGUE
from fashionai.reporting.networks import (
    ListedNetwork,
    best_networks,
    list_network,
    select_networks,
)
from fashionai.training.speed.estimate import trains_in_an_hour
from tests.support.commands import fashionai


def table(capsys: pytest.CaptureFixture[str], *arguments: object) -> dict[str, list[str]]:
    """The cells of each row by the network's name, in the order of the table."""
    assert fashionai("models", *arguments) == 0
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 80
    end = next(index for index, line in enumerate(lines) if line.startswith("top-1:"))
    return {line.split()[0]: line.split()[1:] for line in lines[1:end] if line}


def listed(name: str, top1: float, operations: float, places: tuple[str, ...]) -> ListedNetwork:
    return ListedNetwork(name, top1, 224, 10_000_000, operations, places, "")


def test_the_table_fits_and_marks_local_weights(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MXNET_HOME", str(tmp_path))
    (tmp_path / "models").mkdir()
    (tmp_path / "models/resnet50_v2-ecdde353.params").write_bytes(b"")
    cells = table(capsys)
    assert len(cells) == len(CATALOGUE)
    assert cells["resnet50_v2"] == ["0.8041", "25.6", "4.09*", "224", "local", "Apache-2.0"]
    assert cells["resnet50_v1b"] == [
        "0.8086",
        "25.6",
        "4.09*",
        "224",
        "torchvision",
        "BSD-3-Clause",
    ]
    assert cells["alexnet"] == ["0.5652", "61.1", "0.71*", "224", "torchvision", "BSD-3-Clause"]
    assert cells["resnet50_v1"] == ["0.7647", "25.6", "3.86", "224", "zoo", "Apache-2.0"]
    assert cells["small_cnn"] == ["-", "0.4", "0.04", "32", "-", "-"]
    assert set(table(capsys, "vgg16")) == {"vgg16"}


def test_operations_are_those_at_the_size_of_the_accuracy() -> None:
    (network,) = (each for each in CATALOGUE if each.name == "resnet101_v1d")
    row = list_network(network)
    assert (row.pixels, row.top1) == (256, 0.8225)
    assert row.operations == pytest.approx(network.operations * 256**2 / 224**2)


def test_rows_are_sorted_and_filtered(capsys: pytest.CaptureFixture[str]) -> None:
    by_cost = [float(cells[2].strip("*")) for cells in table(capsys, "--sort", "cost").values()]
    assert by_cost == sorted(by_cost)
    names = list(table(capsys, "--sort", "name"))
    assert names == sorted(network.name for network in CATALOGUE)
    rows = table(capsys, "--with-weights", "--max-gflops", 2, "--max-params", 12)
    assert {"resnet18_v2", "mobilenetv2_1.0"} <= rows.keys()
    # Too many operations, too many parameters, and weights that only the zoo has.
    assert not rows.keys() & {"resnet34_v2", "alexnet", "mobilenetv3_large"}
    assert fashionai("models", "--max-params", 0.001) == 2
    assert "no network is within these limits" in capsys.readouterr().err


def test_weights_of_the_zoo_can_be_had_with_a_mirror(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MXNET_GLUON_REPO", "http://127.0.0.1:9/")
    assert "mobilenetv3_large" in table(capsys, "--with-weights")


def test_no_other_network_equals_the_best_ones_with_fewer_operations(
    capsys: pytest.CaptureFixture[str],
) -> None:
    networks = [
        listed("accurate", 0.8, 4e9, ("hub",)),
        listed("equal", 0.7, 3e9, ("hub",)),
        listed("cheap", 0.7, 2e9, ("package",)),
        listed("worse", 0.6, 3e9, ("hub",)),
        listed("unobtainable", 0.9, 1e9, ("zoo",)),
    ]
    assert [network.name for network in best_networks(networks)] == ["accurate", "cheap"]
    every = select_networks([list_network(network) for network in CATALOGUE], with_weights=True)
    front = best_networks(every)
    for one, other in itertools.product(front, every):
        assert other.top1 is None or other.operations >= one.operations or other.top1 < one.top1
    assert list(table(capsys))[: len(front)] == [network.name for network in front]


@pytest.mark.parametrize(
    ("name", "pixels", "fits"),
    [  # 10,000 images of 18e9 operations; those of MobileNetV2 take 5 times as long as a ResNet's
        ("resnet152_v1", 282, True),
        ("resnet152_v1", 284, False),
        ("mobilenetv2_1.0", 757, True),
        ("mobilenetv2_1.0", 761, False),
    ],
)
def test_the_mark_is_an_hour_at_measured_speeds(name: str, pixels: int, fits: bool) -> None:
    assert trains_in_an_hour(name, pixels) == fits


def test_sources_are_listed_with_their_licences(capsys: pytest.CaptureFixture[str]) -> None:
    assert fashionai("weights", "list", "mobilenetv2_1.0", "small_cnn") == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["network", "zoo", "hub", "torchvision", "package"]
    assert lines[1].split() == [
        "mobilenetv2_1.0",
        "Apache-2.0",
        "Apache-2.0",
        "BSD-3-Clause",
        "MIT",
    ]
    assert lines[2].split() == ["small_cnn", "-", "-", "-", "-"]
