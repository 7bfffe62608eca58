"""Prediction files: the only place that knows what a competition wants to read."""

from fashionai.predictions.formats.base import (
    DECIMALS,
    AnsweredRow,
    Format,
    PredictedRow,
    RowKey,
    as_written,
)
from fashionai.predictions.formats.files import (
    FORMATS,
    TABLE,
    check_expressible,
    format_of,
    image_names,
    probability_format,
    read_answers,
    read_predictions,
    source_names,
    write_predictions,
)

__all__ = [
    "DECIMALS",
    "FORMATS",
    "TABLE",
    "AnsweredRow",
    "Format",
    "PredictedRow",
    "RowKey",
    "as_written",
    "check_expressible",
    "format_of",
    "image_names",
    "probability_format",
    "read_answers",
    "read_predictions",
    "source_names",
    "write_predictions",
]
