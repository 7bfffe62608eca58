"""What a measurement of the machine says, for machines that are made up."""

from __future__ import annotations

import re

import pytest

from fashionai.reporting.speeds import MeasuredSpeeds, advice, bottleneck, speed_table

BALANCED = MeasuredSpeeds(
    threads=8,
    on_gpu=False,
    batch_size=32,
    decode=2000.0,
    loader=1500.0,
    loop=98.0,
    on_features=False,
    steps={32: 100.0, 16: 98.0},
    fewer_threads={4: 60.0},
    engines={"gluon": 200.0, "fused": 204.0, "onnx": 190.0, "int8": 250.0},
    left_out={},
)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, "computing is the bottleneck: training reaches 98% of the speed of its steps alone"),
        (
            {"loop": 120.0},
            "training reaches 120% of the speed of its steps alone: another program uses",
        ),
        ({"loop": 85.0}, "computing is the bottleneck, and loading shares its cores: .* 85%"),
        ({"loader": 70.0, "loop": 68.0}, "loading is the bottleneck: .*68%.*slower than the steps"),
        ({"loop": 80.0, "on_gpu": True}, "neither computing nor loading alone is .*: .* 80% of"),
        (
            {"loader": 70.0, "loop": 60.0, "on_features": True},
            "images are read and frozen layers computed once, .* 60% of the speed of its steps",
        ),
    ],
)
def test_the_bottleneck_is_the_slowest_part(changes: dict[str, object], expected: str) -> None:
    sentence = bottleneck(BALANCED._replace(**changes))
    assert re.match(expected, sentence), sentence


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, []),
        ({"steps": {32: 100.0, 16: 104.0}}, []),
        ({"steps": {32: 100.0, 16: 120.0}}, ["batch_size=16 trains 1.20 times as fast"]),
        ({"fewer_threads": {4: 130.0}}, ["OMP_NUM_THREADS=4 trains 1.30 times as fast"]),
        ({"loader": 90.0, "decode": 100.0}, ["decoding is most of loading"]),
        ({"loader": 90.0}, ["augmentation is most of loading"]),
        ({"loader": 90.0, "on_features": True}, []),
        ({"engines": {"gluon": 200.0}}, []),  # a GPU has no other engine
        (
            {
                "engines": {"gluon": 200.0, "fused": 600.0, "int8": 1800.0},
                "left_out": {"onnx": "onnx is not installed"},
            },
            [
                "engine onnx: onnx is not installed",
                "predict chooses engine fused: 3.00 times as fast as gluon",
                "predict --engine int8, after fashionai quantize, is 3.0 times as fast",
            ],
        ),
    ],
)
def test_advice_names_what_gains(changes: dict[str, object], expected: list[str]) -> None:
    lines = advice(BALANCED._replace(**changes))
    assert len(lines) == len(expected)
    for line, beginning in zip(lines, expected):
        assert line.startswith(beginning)


def test_the_table_has_every_part_in_80_columns() -> None:
    lines = speed_table(BALANCED).splitlines()
    assert max(map(len, lines)) <= 80
    assert lines[1].split() == ["decode", "2,000.0", "0.50"]
    assert len(lines) == 1 + 3 + 2 + 1 + 4
