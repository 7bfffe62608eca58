"""Checkpoints read as data: what they hold, and every way in which they are wrong."""

from __future__ import annotations

import argparse
import contextlib
import os
import pickle
import struct
import zipfile
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Optional

import numpy as np
import pytest
from safetensors.numpy import save

from fashionai.conversion.checkpoints import read_checkpoint
from fashionai.errors import WeightsError
from tests.support.torch_files import (
    Calling,
    Parameter,
    StoredNumbers,
    View,
    legacy_file,
    tensor,
    zip_file,
    zip_of,
)

RNG = np.random.default_rng(0)
NUMBERS = RNG.normal(size=24).astype(np.float32)
FORMS = pytest.mark.parametrize("form", [zip_file, legacy_file])


@pytest.fixture
def read(tmp_path: Path) -> Callable[[bytes], dict[str, np.ndarray]]:
    def read_content(content: bytes) -> dict[str, np.ndarray]:
        file = tmp_path / "weights"
        file.write_bytes(content)
        return read_checkpoint(file)

    return read_content


def message(read: Callable, content: bytes) -> str:
    """What the error says behind the file's name."""
    with pytest.raises(WeightsError) as caught:
        read(content)
    name, _, text = str(caught.value).partition(": ")
    assert name.endswith("weights")
    assert "\n" not in text
    return text


@FORMS
@pytest.mark.parametrize("dtype", ["float64", "float32", "int64", "int32", "uint8", "bool"])
def test_numbers_and_shapes_are_kept(read: Callable, form: Callable, dtype: str) -> None:
    array = (RNG.normal(size=(2, 3, 4)) * 9).astype(dtype)
    found = read(form({"layer.weight": tensor(array)}))
    assert found["layer.weight"].dtype == dtype
    np.testing.assert_array_equal(found["layer.weight"], array)


@FORMS
def test_numbers_of_16_bits_become_float32(read: Callable, form: Callable) -> None:
    halves = np.array([1.5, -2.25, 6e-8, 65504], np.float16)
    upper = (NUMBERS.view(np.uint32) >> 16).astype(np.uint16)
    found = read(form({"half": tensor(halves, "0"), "brain": tensor(upper, "1")}))
    assert found["half"].dtype == found["brain"].dtype == np.float32
    np.testing.assert_array_equal(found["half"], [1.5, -2.25, 2.0**-24, 65504])
    np.testing.assert_allclose(found["brain"], NUMBERS, rtol=2**-7)


@FORMS
def test_views_share_a_storage(read: Callable, form: Callable) -> None:
    storage = StoredNumbers("7", NUMBERS)
    found = read(
        form(
            {
                "transposed": View(storage, 0, (3, 2), (1, 3)),
                "later": View(storage, 6, (2, 2), (9, 2)),
                "scalar": View(storage, 23, (), ()),
                "empty": View(storage, 24, (0, 5), (5, 1)),
            }
        )
    )
    np.testing.assert_array_equal(found["transposed"], NUMBERS[:6].reshape(2, 3).T)
    np.testing.assert_array_equal(found["later"], NUMBERS[[[6, 8], [15, 17]]])
    assert found["scalar"].shape == ()
    assert found["scalar"] == NUMBERS[23]
    assert found["empty"].shape == (0, 5)
    with pytest.raises(ValueError, match="read-only"):
        found["transposed"][0] = 0


def test_the_byte_order_of_another_machine(read: Callable) -> None:
    content = zip_file({"a": tensor(NUMBERS)}, order="big")
    np.testing.assert_array_equal(read(content)["a"], NUMBERS)
    assert message(read, content.replace(b"big", b"bog")).startswith("damaged or truncated")
    assert message(read, zip_file({"a": tensor(NUMBERS)}, order="pdp")) == (
        "byte order 'pdp', expected little or big"
    )


@FORMS
@pytest.mark.parametrize("key", [None, "state_dict", "model"])
def test_wrappers_are_taken_off(read: Callable, form: Callable, key: Optional[str]) -> None:
    state = OrderedDict({"module.a": Parameter(tensor(NUMBERS))})
    # torch.nn.Module.state_dict keeps versions in an attribute.
    state._metadata = OrderedDict({"": {"version": 1}})  # type: ignore[attr-defined]
    found = read(form({key: state, "optimizer": [1, 2.5, None, ("x",)]} if key else state))
    assert list(found) == ["a"]
    np.testing.assert_array_equal(found["a"], NUMBERS)


def test_a_prefix_that_only_some_have_stays(read: Callable) -> None:
    found = read(zip_file({"module.a": tensor(NUMBERS), "b": tensor(NUMBERS)}))
    assert set(found) == {"module.a", "b"}


@FORMS
@pytest.mark.parametrize(
    ("value", "name"),
    [
        (lambda mark: Calling(os.system, f"touch {mark}"), f"{os.system.__module__}.system"),
        # Protocol 2 uses Python 2's names, and spells a method getattr(Path, "touch").
        (lambda mark: Calling(eval, f"open({str(mark)!r}, 'w')"), "__builtin__.eval"),
        (lambda mark: Calling(Path.touch, mark), "__builtin__.getattr"),
        (lambda mark: argparse.Namespace(lr=0.1), "argparse.Namespace"),
        (lambda mark: np.float32(1), "numpy.core.multiarray.scalar"),
    ],
)
def test_anything_but_tensors_is_refused_and_named(
    read: Callable, form: Callable, value: Callable, name: str, tmp_path: Path
) -> None:
    mark = tmp_path / "mark"
    content = form({"state_dict": {"a": tensor(NUMBERS)}, "args": value(mark)})
    assert message(read, content) == (
        f"refers to {name}, which a file of weights does not need; it was not run. "
        "Only a state dict of tensors can be read"
    )
    assert not mark.exists()


def test_a_name_with_dots_reaches_nothing(read: Callable) -> None:
    content = b"\x80\x04\x8c\x0bcollections\x8c\x14OrderedDict.fromkeys\x93)R."
    assert message(read, zip_of(content, {})).startswith(
        "refers to collections.OrderedDict.fromkeys"
    )


def test_what_a_pickle_sets_on_a_function_is_gone_with_it(read: Callable) -> None:
    # BUILD with a pair sets attributes: here the defaults of the function that makes tensors.
    content = (
        b"\x80\x02}U\x01actorch._utils\n_rebuild_tensor_v2\nN}U\x0c__defaults__K\x01\x85s\x86bs."
    )
    assert "entry 'a' is a function" in message(read, zip_of(content, {}))
    np.testing.assert_array_equal(read(zip_file({"a": tensor(NUMBERS)}))["a"], NUMBERS)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ([tensor(NUMBERS)], "contains a list, expected a state dict of tensors"),
        (3, "contains a int, expected a state dict of tensors"),
        ({"a": 1.5}, "entry 'a' is a float, expected a tensor"),
        ({1: tensor(NUMBERS)}, "entry 1 is a Tensor, expected a tensor"),
        ({"model": {"a": None}}, "entry 'a' is a NoneType, expected a tensor"),
        ({}, "contains no tensors"),
    ],
)
@FORMS
def test_something_else_than_a_state_dict(
    read: Callable, form: Callable, value: object, text: str
) -> None:
    assert message(read, form(value)) == text


def test_a_dictionary_that_holds_itself(read: Callable) -> None:
    value: dict[str, object] = {}
    value["model"] = value
    assert message(read, zip_file(value)).startswith("entry 'model' is a dict")


@FORMS
@pytest.mark.parametrize(
    ("offset", "shape", "strides"),
    [
        (0, (25,), (1,)),
        (1, (24,), (1,)),
        (-1, (2,), (1,)),
        (0, (2, 3), (3, -1)),
        (5, (3,), (10,)),
        (0, (10**12,), (0,)),
        (0, (2**33, 2**33), (0, 0)),
        (0, (2, 3), (1,)),
        (0, (-2, -3), (3, 1)),
    ],
)
def test_a_tensor_beyond_its_storage(
    read: Callable,
    form: Callable,
    offset: int,
    shape: tuple[int, ...],
    strides: tuple[int, ...],
) -> None:
    content = form({"a": View(StoredNumbers("0", NUMBERS), offset, shape, strides)})
    assert message(read, content) == (
        f"tensor a of shape {shape}, strides {strides} and offset {offset} "
        "does not lie within its storage of 24 numbers"
    )


def test_a_storage_of_another_size(read: Callable) -> None:
    value = {"a": View(StoredNumbers("0", NUMBERS, count=25), 0, (24,), (1,))}
    assert message(read, zip_file(value)) == "storage 0 has 96 bytes, expected 100"
    assert message(read, legacy_file(value)) == "storage 0 has 24 numbers, expected 25"


def test_a_zip_bomb(read: Callable) -> None:
    zeros = {"a": tensor(np.zeros(10**6, np.float32))}
    content = zip_file(zeros, compression=zipfile.ZIP_DEFLATED)
    assert message(read, content).startswith("would unpack to 4,000")


def test_a_place_in_the_memo_that_would_fill_the_memory(read: Callable) -> None:
    content = b"\x80\x02}r\xff\xff\xff\xff."
    assert "memo index 4294967295" in message(read, zip_of(content, {}))


@pytest.mark.parametrize(
    "content",
    [
        zip_file({"a": tensor(NUMBERS), "b": tensor(NUMBERS, "1")}),
        legacy_file({"a": tensor(NUMBERS), "b": tensor(NUMBERS, "1")}),
        save({"a": NUMBERS, "b": NUMBERS}),
    ],
    ids=["zip", "legacy", "safetensors"],
)
def test_a_file_cut_off_anywhere_or_with_a_wrong_byte(read: Callable, content: bytes) -> None:
    assert len(read(content)) == 2
    for length in range(0, len(content), 5):
        message(read, content[:length])
    for position in RNG.integers(0, len(content), 200):
        wrong = bytearray(content)
        wrong[position] ^= 1 << RNG.integers(8)
        with contextlib.suppress(WeightsError):  # or a number has changed, which only zip notes
            assert set(read(bytes(wrong)))


@pytest.mark.parametrize(
    "content",
    [b"", b"<html>404</html>", b"\x12\x01" + bytes(30), pickle.dumps({"a": 1}), bytes(100)],
    ids=["empty", "page", "params", "pickle", "zeros"],
)
def test_a_file_that_is_no_checkpoint(read: Callable, content: bytes) -> None:
    assert message(read, content) == (
        "not a checkpoint. Give a .safetensors file, or a .pth or .pt file of torch.save"
    )


def test_an_archive_of_something_else(read: Callable, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "zip", "w") as archive:
        archive.writestr("x/readme.txt", "hello")
    assert message(read, (tmp_path / "zip").read_bytes()) == (
        "a zip archive without data.pkl, not a checkpoint of PyTorch"
    )


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    for path, reason in ((tmp_path, "Is a directory"), (tmp_path / "x", "No such file")):
        with pytest.raises(WeightsError, match=f"^{path}: cannot be read \\({reason}"):
            read_checkpoint(path)


def test_safetensors(read: Callable) -> None:
    tensors = {
        "module.a": NUMBERS.reshape(2, 3, 4),
        "module.b": np.array(7),
        "module.c": NUMBERS.astype(np.float16),
    }
    found = read(save(tensors))
    assert set(found) == {"a", "b", "c"}
    for name, array in found.items():
        np.testing.assert_array_equal(array, tensors[f"module.{name}"])
    assert found["c"].dtype == np.float32


def test_safetensors_of_types_that_numpy_lacks(read: Callable) -> None:
    def file(dtype: str, data: bytes) -> bytes:
        header = f'{{"a":{{"dtype":"{dtype}","shape":[2],"data_offsets":[0,{len(data)}]}}}}'
        return struct.pack("<Q", len(header)) + header.encode() + data

    np.testing.assert_array_equal(read(file("BF16", b"\x80\x3f\x20\xc0"))["a"], [1, -2.5])
    assert "contains tensors of dtype F8_E4M3" in message(read, file("F8_E4M3", b"\x00\x00"))
    assert message(read, file("F32", b"\x00\x00")).startswith("not a safetensors file, or damaged")
