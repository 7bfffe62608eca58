"""Prediction files: the only place that knows what a competition wants to read."""

from fashionai.predictions.formats.base import (
    DECIMALS,
    FileRow,
    Format,
    LabelPrediction,
    PredictedRow,
    RowKey,
    as_written,
    row_key,
)
from fashionai.predictions.formats.files import (
    PREDICTIONS,
    TABLE,
    check_expressible,
    format_of,
    formats,
    image_names,
    probability_format,
    read_predicted_labels,
    read_predictions,
    source_names,
    stream_predictions,
    write_predictions,
)

__all__ = [
    "DECIMALS",
    "PREDICTIONS",
    "TABLE",
    "FileRow",
    "Format",
    "LabelPrediction",
    "PredictedRow",
    "RowKey",
    "as_written",
    "check_expressible",
    "format_of",
    "formats",
    "image_names",
    "probability_format",
    "read_predicted_labels",
    "read_predictions",
    "row_key",
    "source_names",
    "stream_predictions",
    "write_predictions",
]
