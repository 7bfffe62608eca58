"""Files of arrays beside MXNet: the same values, the same bytes, and no crash by damage."""

import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from fashionai.errors import WeightsError
from fashionai.files.formats.array_lists import (
    DamagedArraysError,
    read_array_list,
    write_array_list,
)
from fashionai.frameworks.mxnet import import_mxnet
from fashionai.models.parameter_files import read_parameters

mx = import_mxnet()

DTYPES = ("float32", "float64", "float16", "uint8", "int32", "int8", "int64", "bool")

# Reads every file that is not refused, in at most 4 GB, and prints how many there were.
READ_ALL = """
import resource, sys
from pathlib import Path
from fashionai.files.formats.array_lists import DamagedArraysError, read_array_list
from fashionai.frameworks.mxnet import import_mxnet
mx = import_mxnet()
resource.setrlimit(resource.RLIMIT_AS, (4 << 30, 4 << 30))
passed = 0
for path in sorted(Path(sys.argv[1]).glob("*.params")):
    try:
        found = read_array_list(path)
    except DamagedArraysError:
        continue
    values = mx.nd.load(str(path))
    # MXNet cuts a name at its first zero byte, so that names may differ.
    assert len(values) == len(found), path
    for value, array in zip(values.values(), found.values()):
        assert value.asnumpy().tobytes() == array.tobytes(), path
    passed += 1
print(passed)
"""


@pytest.fixture
def sound(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    arrays = {
        f"arg:{name}": mx.nd.array(rng.integers(0, 2, (3, 1, 2)), dtype=name) for name in DTYPES
    }
    mx.nd.save(str(tmp_path / "sound.params"), arrays)
    return tmp_path / "sound.params"


def damaged(data: bytes, rng: np.random.Generator) -> bytes:
    """The bytes with one random damage."""
    values = bytearray(data)
    start = int(rng.integers(len(values)))
    length = int(rng.integers(1, 65))
    kind = rng.integers(5)
    if kind == 0:
        values[start] ^= 1 << int(rng.integers(8))
    elif kind == 1:
        values[start : start + length] = bytes(length)
    elif kind == 2:
        values[start : start + length] = rng.bytes(length)
    elif kind == 3:
        del values[start:]
    else:
        values[start:start] = rng.bytes(length)
    return bytes(values)


def old_list(first: bytes) -> bytes:
    """A list of one array ``(2, 3) float32`` of an earlier version; ``first`` is up to its size."""
    values = np.arange(6, dtype=np.float32).tobytes()
    array = first + struct.pack("<iii", 1, 0, 0) + values
    return struct.pack("<QQQ", 0x112, 0, 1) + array + struct.pack("<QQ", 1, 1) + b"w"


def test_values_and_bytes_are_those_of_mxnet(sound: Path) -> None:
    arrays = read_array_list(sound)
    for name, expected in mx.nd.load(str(sound)).items():
        found = arrays[name]
        assert (found.dtype, found.shape) == (expected.dtype, expected.shape)
        np.testing.assert_array_equal(found, expected.asnumpy())
    write_array_list(sound.with_name("again.params"), arrays)
    assert sound.with_name("again.params").read_bytes() == sound.read_bytes()


def test_arrays_without_names(sound: Path) -> None:
    mx.nd.save(str(sound), [mx.nd.ones((2,))])
    assert read_array_list(sound) == {}


@pytest.mark.parametrize(
    "first", [struct.pack("<III", 2, 2, 3), struct.pack("<Iiqq", 0xF993FAC8, 2, 2, 3)]
)
def test_files_of_earlier_versions_pass(first: bytes, tmp_path: Path) -> None:
    (tmp_path / "old.params").write_bytes(old_list(first))
    (values,) = read_array_list(tmp_path / "old.params").values()
    assert values.tolist() == [[0, 1, 2], [3, 4, 5]]
    (expected,) = mx.nd.load(str(tmp_path / "old.params")).values()
    np.testing.assert_array_equal(values, expected.asnumpy())


def test_each_number_is_checked(sound: Path) -> None:
    data = sound.read_bytes()
    for at, layout, number, words in (
        (0, "<Q", 0x113, "not a .params file"),
        (16, "<Q", 2**62, "array"),
        (24, "<I", 2**31, "shape"),
        (28, "<i", 1, "storage type 1"),
        (32, "<i", 33, "shape"),
        (32, "<i", -1, "shape"),
        (36, "<q", 2**60, "bytes expected"),
        (36, "<q", -3, "shape"),
        (36, "<q", 0, "shape"),
        (60, "<i", 7, "device"),
        (64, "<i", -1, "device"),
        (68, "<i", 99, "data type 99"),
        (68, "<i", -1, "data type -1"),
        (len(data) - 8 - len("arg:bool"), "<Q", 2**63, "bytes expected"),
        (len(data) - 8, "<Q", 0xFF, "UTF-8"),
    ):
        changed = bytearray(data)
        struct.pack_into(layout, changed, at, number)
        if words == "UTF-8":
            changed[-8:] = b"\xff" * 8
        sound.write_bytes(changed)
        with pytest.raises(DamagedArraysError, match=words):
            read_array_list(sound)
    for changed in (
        data + b"\0",
        data.replace(b"arg:int8", b"arg:bool"),
        # MXNet ends names at a NUL: two arrays would have one name.
        data.replace(b"arg:int8", b"arg:in\0x"),
    ):
        sound.write_bytes(changed)
        with pytest.raises(DamagedArraysError):
            read_array_list(sound)


def test_random_damage_neither_ends_the_process_nor_takes_memory(sound: Path) -> None:
    rng, data = np.random.default_rng(1), sound.read_bytes()
    sound.unlink()
    for number in range(400):
        (sound.parent / f"{number}.params").write_bytes(damaged(data, rng))
    done = subprocess.run(
        [sys.executable, "-c", READ_ALL, str(sound.parent)], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    # Damaged values cannot be told from sound ones.
    assert 20 < int(done.stdout) < 200


def test_a_damaged_file_is_refused_by_its_name(sound: Path) -> None:
    sound.write_bytes(sound.read_bytes()[:-100])
    with pytest.raises(WeightsError, match=r"sound\.params: damaged: "):
        read_parameters(sound)


def test_names_that_differ_in_their_prefix_alone(tmp_path: Path) -> None:
    """The prefixes of exported networks are left out: one of the arrays would be lost."""
    file = tmp_path / "two.params"
    mx.nd.save(str(file), {"arg:weight": mx.nd.ones((2,)), "weight": mx.nd.zeros((2,))})
    with pytest.raises(WeightsError, match=r"two\.params: two arrays whose names differ"):
        read_parameters(file)
