"""DataFrames where files are expected, for scripts and notebooks."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Union

from fashionai.errors import ConfigError, FashionAIError, shown_value

if TYPE_CHECKING:
    import pandas as pd


@contextlib.contextmanager
def as_file(table: Union[str, Path, pd.DataFrame]) -> Iterator[Path]:
    """The CSV file of a table; for a DataFrame a temporary file, which errors do not name."""
    if isinstance(table, (str, Path)):
        yield Path(table)
        return
    if not is_frame(table):
        raise ConfigError(f"expected a file or a DataFrame, found {shown_value(table)}")
    with tempfile.TemporaryDirectory(prefix="fashionai-") as folder:
        file = Path(folder) / "table.csv"
        table.to_csv(file, index=False)
        try:
            yield file
        except FashionAIError as error:
            texts = (text.replace(str(file), "DataFrame") for text in (error.message, error.hint))
            raise type(error)(*texts) from None


def is_frame(value: Any) -> bool:
    """Whether a value is a DataFrame. Pandas is not imported for this."""
    return hasattr(value, "to_csv") and hasattr(value, "columns")
