"""What the functions for scripts have in common: arguments, and errors that name these."""

from __future__ import annotations

import functools
import inspect
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar, Union, cast

from fashionai.errors import (
    ConfigError,
    FashionAIError,
    nearest,
    os_errors_as_data_errors,
    shown_value,
)
from fashionai.files.formats.frames import is_frame
from fashionai.files.paths import PathLike
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
