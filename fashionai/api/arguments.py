"""What the functions for scripts have in common: arguments, and errors that name these."""

from __future__ import annotations

import functools
import inspect
import json
import os
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from numbers import Integral
from pathlib import Path
from typing import Any, Optional, TypeVar, Union, cast

from fashionai.datasets.names import check_choice
from fashionai.engines.registry import AUTO, ENGINES
from fashionai.errors import (
    ConfigError,
    FashionAIError,
    nearest,
    os_errors_as_data_errors,
    shown_value,
)
from fashionai.files.formats.frames import is_frame
from fashionai.files.paths import PathLike
from fashionai.frameworks.devices import DEVICES
from fashionai.normalization import LARGEST_SIDE, SMALLEST_SIDE
from fashionai.pipeline.crop_counts import CROP_COUNTS
from fashionai.runs import Run

RunLike = Union[PathLike, Run]
Function = TypeVar("Function", bound=Callable[..., Any])

# The arguments that have another name than the option of the command.
ARGUMENTS = {
    "csv": "table",
    "task": "data_set",
    **{f"{role}_column": "columns" for role in ("path", "label", "split", "group")},
}
# A command up to the end of the text, which stays as it is, or an option.
COMMAND_OR_OPTION = re.compile(r"fashionai [a-z].*|--([a-z][a-z-]*)(:?)", re.DOTALL)


def errors_for_scripts(function: Function) -> Function:
    """Decorate a function so that its errors name arguments in place of a command's options.

    An OSError, such as a full disk, becomes a DataError.
    """
    parameters = inspect.signature(function).parameters

    def argument(found: re.Match[str]) -> str:
        option = (found[1] or "").replace("-", "_")
        name = option if option in parameters else ARGUMENTS.get(option, "")
        if name not in parameters:
            return found[0]
        if found[2]:
            return f"{name}:"
        return f"{name}=True" if parameters[name].default is False else f"`{name}`"

    @functools.wraps(function)
    def call(*arguments: Any, **named: Any) -> Any:
        try:
            with os_errors_as_data_errors():
                return function(*arguments, **named)
        except FashionAIError as error:
            error.message = COMMAND_OR_OPTION.sub(argument, error.message)
            error.hint = COMMAND_OR_OPTION.sub(argument, error.hint)
            error.args = (error.message,)
            raise

    return cast(Function, call)


def check_roles(columns: Mapping[str, str], roles: Sequence[str]) -> None:
    """ConfigError for a role that a column cannot have."""
    for role in columns:
        if role not in roles:
            raise ConfigError(
                f"columns: unknown role {shown_value(role)}", nearest(str(role), roles)
            )


def listed(value: Any) -> list[Any]:
    """A list of one value or of several; empty for None."""
    if value is None:
        return []
    is_one = isinstance(value, (str, Path, Run)) or is_frame(value)
    return [value] if is_one or not isinstance(value, Iterable) else list(value)


def one_or_more(name: str, value: Any) -> list[Any]:
    """As listed, and ConfigError for a list that is empty: only None stands for the default."""
    found = listed(value)
    if value is not None and not found:
        raise ConfigError(f"{name}: found an empty list, expected one or more")
    return found


def side(image_size: Any) -> Optional[int]:
    """The side of views in pixels, None for the default; ConfigError for what is none."""
    if image_size is None:
        return None
    return whole_number("image_size", image_size, SMALLEST_SIDE, LARGEST_SIDE)


def prediction_options(crops: Any, batch_size: Any, engine: Any) -> dict[str, Any]:
    """The options of fashionai.predictions.predict.predict; ConfigError for a wrong one."""
    if crops not in CROP_COUNTS:
        raise ConfigError(f"crops: found {shown_value(crops)}, expected one of {CROP_COUNTS}")
    check_choice("engine", str(engine), [AUTO, *ENGINES])
    return {
        "crops": crops,
        "batch_size": whole_number("batch_size", batch_size, 1),
        "engine": engine,
    }


def gpu_indices(device: Any, gpus: Any) -> list[int]:
    """The indices of GPUs; ConfigError for a wrong one, and for a device that does not exist."""
    check_choice("device", str(device), DEVICES)
    indices = [whole_number("gpus", index, 0) for index in listed(gpus)]
    if len(set(indices)) < len(indices):
        raise ConfigError(f"gpus: found {indices}, expected distinct indices")
    return indices


def whole_number(name: str, value: Any, lowest: int, highest: Optional[int] = None) -> int:
    """The value of an argument as an int; ConfigError unless it is a whole number in the range."""
    is_whole = isinstance(value, Integral)
    if not is_whole or value < lowest or (highest is not None and value > highest):
        limits = f"from {lowest}" if highest is None else f"from {lowest} to {highest}"
        raise ConfigError(f"{name}: found {shown_value(value)}, expected a whole number {limits}")
    return int(value)


def as_json(name: str, value: Any) -> Any:
    """The values of an argument as JSON has them: paths become text, NumPy's numbers Python's."""
    try:
        return json.loads(json.dumps(value, default=functools.partial(_plain, name)))
    except (TypeError, ValueError, RecursionError) as error:  # a key that is a tuple; a cycle
        raise ConfigError(f"{name}: {error}") from None


def _plain(name: str, value: Any) -> Any:
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if hasattr(value, "tolist"):
        return value.tolist()
    found = f"found {shown_value(value)}, a {type(value).__name__}"
    raise ConfigError(f"{name}: {found}; expected text, numbers, lists and keys with values")
