"""Files of parameters that are known to be whole once they are written."""

from __future__ import annotations

import errno
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fashionai.runtime import import_mxnet

mx = import_mxnet()


def save_arrays(file: Path, arrays: Mapping[str, Any]) -> None:
    """Write MXNet arrays by name, in MXNet's own format; the caller makes the file atomic.

    Raises OSError when not all of it could be written. MXNet does not say when the
    end of a file is lost on a full disk: therefore it is read back.
    """
    for values in arrays.values():
        values.wait_to_read()  # What fails in computing them is no fault of the disk.
    try:
        mx.nd.save(str(file), dict(arrays))
        mx.nd.load(str(file))
    except mx.base.MXNetError:
        raise OSError(errno.EIO, "not all of it fits", str(file)) from None
