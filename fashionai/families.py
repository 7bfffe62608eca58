"""The registry of the known data sets, by family.

A family is a group of tasks whose label files have one layout and whose predictions have one
format. To add a data set:

1. Write a reader module for its label files (see fashionai.datasets.readers.reader).
2. If its competition has its own prediction file, write a format module (see
   fashionai.predictions.formats.base).
3. Define its tasks here, and add a Family to FAMILIES.

Families name their modules as strings, which are imported when they are first needed. Every
command then knows the new tasks.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Optional

from fashionai.errors import ConfigError, choose_from, closest, shown
from fashionai.files.default_folders import PREPARED_FOLDER
from fashionai.files.paths import PathLike
from fashionai.tasks import Task, prepared_tasks

READERS, FORMATS = "fashionai.datasets.readers", "fashionai.predictions.formats"


@dataclass(frozen=True)
class ShareOption:
    """An option of ``fashionai prepare`` for one family: a share in [0, 1).

    ``name`` is the keyword argument of the family's reader and, with dashes, the option's name.
    ``help`` is its help text.
    """

    name: str
    help: str

    @property
    def flag(self) -> str:
        """The option as the user types it, such as ``--no-logo-share``."""
        return "--" + self.name.replace("_", "-")


@dataclass(frozen=True)
class Family:
    """A group of tasks with one reader and one prediction format.

    ``reader`` is the name of a module that defines READER, and ``format`` that of a module that
    defines FORMAT; without a format, predictions are written as tables. ``option`` is the
    family's own option of prepare. ``name`` is also the ``family`` of each of the tasks.
    """

    name: str
    tasks: tuple[Task, ...]
    reader: str
    format: Optional[str] = None
    option: Optional[ShareOption] = None


def _fashionai(name: str, *visible_classes: str) -> Task:
    """Return the task of one attribute; its alias is the first word of its name."""
    return Task(name, (name.split("_")[0],), ("Invisible", *visible_classes), "fashionai")


# Class names in the order of the letters of the competition's labels.
FASHIONAI_TASKS = (
    _fashionai("skirt_length_labels", "Short", "Knee", "Midi", "Ankle", "Floor"),
    _fashionai(
        "coat_length_labels",
        *("High Waist", "Regular", "Long", "Micro", "Knee", "Midi", "Ankle & Floor"),
    ),
    _fashionai("collar_design_labels", "Shirt", "Peter Pan", "Puritan", "Rib"),
    _fashionai("lapel_design_labels", "Notched", "Collarless", "Shawl", "Plus Size Shawl"),
    _fashionai("neck_design_labels", "Turtle", "Ruffle Semi-High", "Low Turtle", "Draped"),
    _fashionai(
        "neckline_design_labels",
        *("Strapless", "Deep V", "Straight", "V", "Square"),
        *("Off Shoulder", "Round", "Sweetheart", "One Shoulder"),
    ),
    _fashionai("pant_length_labels", "Short", "Mid", "3/4", "Cropped", "Full"),
    _fashionai(
        "sleeve_length_labels",
        *("Sleeveless", "Cup", "Short", "Elbow", "3/4", "Wrist", "Long", "Extra Long"),
    ),
)

FASHION_MNIST = Task(
    "fashion-mnist",
    (),
    (
        *("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat"),
        *("Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"),
    ),
    "idx",
)

# The classes are the names of the brands' folders.
LOGOS = Task(
    "logos",
    (),
    (
        *("adidas", "aldi", "apple", "becks", "bmw", "carlsberg", "chimay", "cocacola", "corona"),
        *("dhl", "erdinger", "esso", "fedex", "ferrari", "ford", "fosters", "google", "guiness"),
        *("heineken", "HP", "milka", "nvidia", "paulaner", "pepsi", "rittersport", "shell"),
        *("singha", "starbucks", "stellaartois", "texaco", "tsingtao", "ups", "no-logo"),
    ),
    "flickrlogos",
    background="no-logo",
)
NO_LOGO_SHARE = ShareOption(
    "no_logo_share",
    "logos: share of the no-logo validation images to train on. With 0, no-logo is not one of "
    "the classes but the held-out background.  [default: 0.5]",
)
CACTUS = Task("cactus", (), ("no cactus", "cactus"), "cactus")
COVERS = Task("covers", (), ("not cat", "cat"), "covers")

# The families by name. The first one is the default of commands that cannot tell the family.
FAMILIES = {
    family.name: family
    for family in (
        Family("fashionai", FASHIONAI_TASKS, f"{READERS}.fashionai", f"{FORMATS}.fashionai"),
        Family("idx", (FASHION_MNIST,), f"{READERS}.idx"),
        Family(
            name="flickrlogos",
            tasks=(LOGOS,),
            reader=f"{READERS}.flickrlogos",
            format=f"{FORMATS}.flickrlogos",
            option=NO_LOGO_SHARE,
        ),
        Family("cactus", (CACTUS,), f"{READERS}.cactus", f"{FORMATS}.cactus"),
        Family("covers", (COVERS,), f"{READERS}.covers", f"{FORMATS}.covers"),
    )
}

# Stands for the eight FashionAI attributes on the command line.
ALL = "all"


def known_tasks() -> list[Task]:
    """Return the tasks of all families."""
    return [task for family in FAMILIES.values() for task in family.tasks]


def known_task(name: str) -> Optional[Task]:
    """Return the known task with that name or alias; None when no family has it."""
    return next((task for task in known_tasks() if name in (task.name, *task.aliases)), None)


def find_task(name: str, folder: PathLike = PREPARED_FOLDER) -> Task:
    """Return the task with that name or alias: a known task, or one that is prepared.

    Args:
        name: Full name or alias, such as ``skirt_length_labels``, ``skirt`` or ``birds``.
        folder: Folder of prepared tasks.

    Returns:
        The task with its classes.

    Raises:
        ConfigError: An unknown name; the message has the nearest name or short names.
        DataError: The description of a prepared task is damaged.

    Example:
        >>> fashionai.find_task("skirt").classes
    """
    return known_task(name) or find_known_task(name, prepared_tasks(Path(folder)))


def find_known_task(name: str, others: Sequence[Task] = ()) -> Task:
    """Return the known task with that name or alias, or the one of ``others``.

    The others, such as the tasks of runs, take precedence. Raises ConfigError for an unknown name;
    the message has the nearest name or all short names.
    """
    tasks = (*others, *known_tasks())
    for task in tasks:
        if name == task.name or name in task.aliases:
            return task
    meant = closest(name, [choice for task in tasks for choice in (*task.aliases, task.name)])
    short_names = dict.fromkeys(task.short_name for task in tasks)
    hint = f"Did you mean '{meant}'?" if meant else choose_from(short_names)
    raise ConfigError(f"unknown task '{shown(name)}'", hint)


def expand_tasks(names: Iterable[str], others: Sequence[Task] = ()) -> list[Task]:
    """Return the tasks of several names without duplicates.

    The name ``all`` stands for the eight FashionAI attributes. Errors as for find_known_task.
    """
    tasks = [
        task
        for name in names
        for task in (FASHIONAI_TASKS if name == ALL else (find_known_task(name, others),))
    ]
    return list({task.name: task for task in tasks}.values())


def full_names(names: Iterable[str]) -> list[str]:
    """Return full names of tasks without duplicates.

    Aliases are resolved, ``all`` stands for the eight FashionAI attributes, and unknown names
    stay as they are.
    """
    resolved: list[str] = []
    for name in names:
        task = known_task(name)
        if name == ALL:
            resolved += [each.name for each in FASHIONAI_TASKS]
        else:
            resolved.append(task.name if task else name)
    return list(dict.fromkeys(resolved))


def short_name(name: str) -> str:
    """Return the short name of a known task; other names stay as they are."""
    task = known_task(name)
    return task.short_name if task else name


def packaged_config_of(task: Task) -> Optional[str]:
    """The name of the packaged configuration of a task; None for tasks that have none."""
    # Imported here: few commands need it.
    from fashionai.packaged_configs import packaged_configs

    name = task.short_name.replace("-", "_")
    return name if known_task(task.name) and name in packaged_configs() else None
