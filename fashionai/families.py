"""The data sets that are known by name: for each family its tasks, its reader and its format.

To add a data set, write a reader module (see fashionai.datasets.readers.reader), where its
competition has a prediction file of its own a format module (see
fashionai.predictions.formats.base), and add one entry to FAMILIES. Both are named here and
imported when they are first used.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Optional

from fashionai.errors import ConfigError, nearest
from fashionai.tasks import Task

READERS, FORMATS = "fashionai.datasets.readers", "fashionai.predictions.formats"


@dataclass(frozen=True)
class ShareOption:
    """An option of prepare that one family's reader takes: a number in [0, 1).

    ``name`` is the reader's keyword argument and, with dashes, the option's name.
    """

    name: str
    help: str

    @property
    def flag(self) -> str:
        """The option as it is typed: ``--no-logo-share``."""
        return "--" + self.name.replace("_", "-")


@dataclass(frozen=True)
class Family:
    """Tasks whose label files have one layout.

    ``reader`` is a module with a READER, ``format`` one with a FORMAT; without a format
    predictions are written as tables.
    """

    name: str
    tasks: tuple[Task, ...]
    reader: str
    format: Optional[str] = None
    option: Optional[ShareOption] = None


def _fashionai(name: str, *visible_classes: str) -> Task:
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

# Brands as their folders are spelt.
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
    "logos: share of the no-logo validation list to train on. 0 makes 32 classes, with "
    "no-logo as the held-out background.  [default: 0.5]",
)
CACTUS = Task("cactus", (), ("no cactus", "cactus"), "cactus")
COVERS = Task("covers", (), ("not cat", "cat"), "covers")

# The first family is the default where a command cannot tell which one is meant.
FAMILIES = {
    family.name: family
    for family in (
        Family("fashionai", FASHIONAI_TASKS, f"{READERS}.fashionai", f"{FORMATS}.fashionai"),
        Family("idx", (FASHION_MNIST,), f"{READERS}.idx"),
        Family(
            *("flickrlogos", (LOGOS,), f"{READERS}.flickrlogos", f"{FORMATS}.flickrlogos"),
            option=NO_LOGO_SHARE,
        ),
        Family("cactus", (CACTUS,), f"{READERS}.cactus", f"{FORMATS}.cactus"),
        Family("covers", (COVERS,), f"{READERS}.covers", f"{FORMATS}.covers"),
    )
}

# The name that stands for the eight FashionAI attributes.
ALL = "all"


def known_tasks() -> list[Task]:
    """The tasks of all families."""
    return [task for family in FAMILIES.values() for task in family.tasks]


def known_task(name: str) -> Optional[Task]:
    """The task of a family with that full name or alias; None when no family has it."""
    return next((task for task in known_tasks() if name in (task.name, *task.aliases)), None)


def find_task(name: str, others: Sequence[Task] = ()) -> Task:
    """The task of that full name or alias; ConfigError names the nearest one otherwise.

    ``others`` are tasks beside those of the families, such as those of runs; they come first.
    """
    tasks = (*others, *known_tasks())
    for task in tasks:
        if name == task.name or name in task.aliases:
            return task
    hint = nearest(name, [choice for task in tasks for choice in (*task.aliases, task.name)])
    if not hint.startswith("Did"):
        hint = f"Choose from: {', '.join(dict.fromkeys(task.short_name for task in tasks))}"
    raise ConfigError(f"unknown task '{name}'", hint)


def expand_tasks(names: Iterable[str], others: Sequence[Task] = ()) -> list[Task]:
    """The tasks of several names, each once; ``all`` is the eight FashionAI attributes."""
    tasks = [
        task
        for name in names
        for task in (FASHIONAI_TASKS if name == ALL else (find_task(name, others),))
    ]
    return list({task.name: task for task in tasks}.values())


def full_names(names: Iterable[str]) -> list[str]:
    """Full names of tasks, each once: aliases are resolved, unknown names stay as they are."""
    resolved: list[str] = []
    for name in names:
        task = known_task(name)
        if name == ALL:
            resolved += [each.name for each in FASHIONAI_TASKS]
        else:
            resolved.append(task.name if task else name)
    return list(dict.fromkeys(resolved))


def short_name(name: str) -> str:
    """The short name of a family's task; other names stay as they are."""
    task = known_task(name)
    return task.short_name if task else name
