"""Writing parameter files and verifying that they are complete."""

from __future__ import annotations

import errno
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fashionai.files.array_lists import DamagedArraysError, check_array_list
from fashionai.frameworks.mxnet import import_mxnet

mx = import_mxnet()


def save_arrays(file: Path, arrays: Mapping[str, Any]) -> None:
    """Write MXNet arrays by name in MXNet's format. Atomicity is up to the caller.

    Raises OSError if the file is incomplete. MXNet reports no error if the disk is
    full, so the file is read back.
    """
    for values in arrays.values():
        values.wait_to_read()  # raises errors of pending computations, which are not disk errors
    try:
        mx.nd.save(str(file), dict(arrays))
        check_array_list(file)
        mx.nd.load(str(file))
    except (mx.base.MXNetError, DamagedArraysError):
        raise OSError(errno.EIO, "not all of it fits", str(file)) from None
