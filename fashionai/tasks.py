"""Classification tasks: their classes, and the JSON that describes them beside folders and runs."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

from fashionai.errors import DataError
from fashionai.files.formats.json_files import read_json
from fashionai.files.names import fitting

Parsed = TypeVar("Parsed")

# What a task is called where neither predictions nor labels name it.
NAMELESS = "predictions"


@dataclass(frozen=True)
class Task:
    """One classification problem.

    ``name`` is the label files' own name and the name of the prepared folder,
    ``aliases`` are shorter names for the command line, ``classes`` are in label
    order (a class's position is its index), and ``family`` is the name of the
    data set's family, see fashionai.families. ``background``, empty for most
    tasks, is the label of images that show none of the things to recognize. It
    is one of the classes, or it is held out: its images are prepared for
    validation and test, and never trained on.
    """

    name: str
    aliases: tuple[str, ...] = field(compare=False)
    classes: tuple[str, ...]
    family: str
    background: str = ""

    @property
    def short_name(self) -> str:
        """The name of the task in tables and in the names of runs."""
        return self.aliases[0] if self.aliases else self.name

    @property
    def holds_out_background(self) -> bool:
        """Whether the background is a label that is not learnt."""
        return bool(self.background) and self.background not in self.classes

    @property
    def labels(self) -> tuple[str, ...]:
        """The classes, followed by the background if it is held out."""
        return (*self.classes, self.background) if self.holds_out_background else self.classes

    @cached_property  # used for every image
    def folder_names(self) -> tuple[str, ...]:
        """Names of the folders of all labels; their sorted order is the class order.

        A long name of a class is cut. The index keeps the names distinct.
        """
        width = len(str(len(self.labels) - 1))
        return tuple(
            fitting(f"{index:0{width}d}_{folder_safe(name)}")
            for index, name in enumerate(self.labels)
        )


def folder_safe(name: str) -> str:
    """A class name as part of a folder name: no separators and no spaces."""
    return "-".join("".join(c if c.isalnum() or c in "-_.&" else " " for c in name).split())


# The description of a task in its prepared folder.
TASK_FILE = "task.json"


def columns_of(tasks: Sequence[Task]) -> list[slice]:
    """The columns of every task's classes in the output of a network that learns them all."""
    ends = list(itertools.accumulate(len(task.classes) for task in tasks))
    return [slice(start, end) for start, end in zip([0, *ends], ends)]


def tasks_to_json(tasks: Sequence[Task]) -> dict[str, object]:
    """The description of a run's tasks, which tasks_from_json reads."""
    return {"tasks": [task_to_json(task) for task in tasks]}


def tasks_from_json(path: Path) -> list[Task]:
    """The tasks that tasks_to_json described; DataError for any other content."""
    tasks = _read_tasks(path, lambda value: [_task_of(entry) for entry in value["tasks"]])
    if not tasks:
        raise DataError(f"{path}: describes no task")
    return tasks


def task_to_json(task: Task) -> dict[str, object]:
    """The description of a task in prepared folders and runs, which task_from_json reads."""
    return {
        "task": task.name,
        "aliases": list(task.aliases),
        "family": task.family,
        "classes": list(task.classes),
        **({"background": task.background} if task.background else {}),
    }


def task_from_json(path: Path) -> Task:
    """The task that task_to_json described; DataError for any other content."""
    return _read_tasks(path, _task_of)


def prepared_tasks(folder: Path) -> list[Task]:
    """The tasks that are prepared below a folder, by name."""
    return [task_from_json(file) for file in sorted(folder.glob(f"*/{TASK_FILE}"))]


def _task_of(value: Any) -> Task:
    """The task of a JSON object; KeyError, TypeError or ValueError for another content."""
    classes = _texts(value["classes"])
    if not classes or len(set(classes)) < len(classes):
        raise ValueError("no classes, or one of them twice")
    name, family, background = _texts([value["task"], value["family"], value.get("background", "")])
    return Task(name, _texts(value["aliases"]), classes, family, background)


def _texts(values: Any) -> tuple[str, ...]:
    """The texts in a JSON list; TypeError for another type of list or of item."""
    if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
        raise TypeError("expected a list of texts")
    return tuple(values)


def _read_tasks(path: Path, parse: Callable[[Any], Parsed]) -> Parsed:
    try:
        return parse(read_json(path))
    except FileNotFoundError:
        raise DataError(f"{path}: no such file") from None
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        raise DataError(
            f"{path}: does not describe a task, expected JSON of task, aliases, classes and family"
        ) from None
