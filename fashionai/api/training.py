"""prepare, starter_config and train for scripts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Optional, Union

from fashionai.api.arguments import (
    as_json,
    check_roles,
    errors_for_scripts,
    gpu_indices,
    listed,
)
from fashionai.config import Config, load_config, resolve_config
from fashionai.datasets.prepared.prepare import Summary
from fashionai.datasets.prepared.prepare import prepare as prepare_data_set
from fashionai.datasets.readers.tables.table_columns import COLUMN_ROLES
from fashionai.datasets.reading import (
    check_apart,
    read_data_set,
    read_own_folders,
    read_own_table,
)
from fashionai.datasets.records import DataSet
from fashionai.errors import ConfigError
from fashionai.families import find_known_task
from fashionai.files.default_folders import DATA_FOLDER, PREPARED_FOLDER
from fashionai.files.formats.frames import as_file, is_frame
from fashionai.files.formats.yaml_files import dump_json
from fashionai.files.paths import PathLike
from fashionai.progress import ProgressBar, no_bar
from fashionai.runs import Run
from fashionai.training import start

if TYPE_CHECKING:
    import pandas as pd


@errors_for_scripts
def prepare(
    data_set: Union[str, DataSet],
    out: PathLike = PREPARED_FOLDER,
    *,
    data: PathLike = DATA_FOLDER,
    table: Union[PathLike, pd.DataFrame, None] = None,
    images: Optional[PathLike] = None,
    folders: Optional[PathLike] = None,
    columns: Optional[Mapping[str, str]] = None,
    classes: Sequence[str] = (),
    val_fraction: Optional[float] = None,
    seed: int = 0,
    mode: str = "hardlink",
    skip_bad: bool = False,
    near_duplicates: str = "report",
    corrections: Optional[PathLike] = None,
    pseudo_labels: Optional[PathLike] = None,
    progress: ProgressBar = no_bar,
) -> Summary:
    """Put the images of a data set into per-class folders below ``out``.

    Args:
        data_set: Name of a known task (``skirt``, ``logos`` ...), whose label files are below
            ``data``; name of a new task, with ``table`` or with ``folders``; or what
            ``read_data_set`` returned.
        out: Folder for the prepared tasks.
        data: Folder of the data set of a known task.
        table: CSV file or DataFrame with a path and a class per row.
        images: Folder that the table's paths are relative to; by default that of the CSV file.
        folders: Folder of class folders, or of folders train, val and test with class folders.
        columns: Names of the table's columns by role (``path``, ``label``, ``split``,
            ``group``); needed for columns with unusual names.
        classes: Classes of a new task in order; by default sorted by name or number.
        val_fraction: Share of the rows for validation, in [0, 1); by default that of the data
            set, usually 0.1.
        seed: Seed of the split.
        mode: ``hardlink``, ``copy`` or ``symlink``.
        skip_bad: Leave out images that cannot be decoded instead of stopping, and images of a
            table that are missing, unless nearly all are.
        near_duplicates: What to do about images that look almost the same: ``report`` their
            number, ``group`` them in one split, or ``ignore`` them.
        corrections: CSV file of corrected labels, as ``fashionai review`` writes it.
        pseudo_labels: CSV file of predicted classes, as ``fashionai pseudo-label`` writes it; its
            images are added to the training split.
        progress: Called with a description and a total. It returns a context manager that
            provides a function, which is called with the number of steps done since its last
            call.

    Returns:
        What was done. ``to_frame()`` counts the images, with a row per class.

    Raises:
        ConfigError: An unknown task, or arguments that exclude each other.
        DataError: Label files or images that cannot be used.

    Example:
        >>> fashionai.prepare("birds", table="labels.csv", images="photos").to_frame()
    """
    if isinstance(data_set, str):
        if folders is not None:
            check_apart(Path(folders), Path(out) / data_set)
        data_set = _read(
            data_set, Path(data), table, images, folders, columns or {}, classes, skip_bad
        )
    else:
        _check_read_alone(
            data=None if Path(data) == DATA_FOLDER else data,
            table=table,
            images=images,
            folders=folders,
            columns=columns or None,
            classes=[*classes] or None,
        )
    return prepare_data_set(
        data_set,
        Path(out),
        val_fraction=val_fraction,
        seed=seed,
        mode=mode,
        skip_bad=skip_bad,
        near_duplicates=near_duplicates,
        corrections=None if corrections is None else Path(corrections),
        pseudo_labels=None if pseudo_labels is None else Path(pseudo_labels),
        progress=progress,
    )


def _check_read_alone(**given: Any) -> None:
    """ConfigError for an argument that says how to read what has been read already."""
    for name, value in given.items():
        if value is not None:
            raise ConfigError(
                f"prepare: {name} goes with the name of a task, and `data_set` has been read"
            )


def _read(
    name: str,
    data: Path,
    table: Union[PathLike, pd.DataFrame, None],
    images: Optional[PathLike],
    folders: Optional[PathLike],
    columns: Mapping[str, str],
    classes: Sequence[str],
    skip_missing: bool,
) -> DataSet:
    """Read the data set that the arguments of prepare specify."""
    if (table is None and images is not None) or (table is not None and folders is not None):
        raise ConfigError("prepare: expected table and images, or folders, or neither")
    if images is None and is_frame(table):
        raise ConfigError("prepare: a DataFrame needs images, the folder of its paths")
    if table is None and columns:
        raise ConfigError("prepare: columns go with a table")
    if table is None and folders is None and len(classes):
        raise ConfigError("prepare: classes go with a table or with folders")
    if folders is not None:
        return read_own_folders(name, Path(folders), classes)
    if table is None:
        return read_data_set(find_known_task(name), data)
    check_roles(columns, COLUMN_ROLES)
    by_role = {f"{role}_column": column for role, column in columns.items()}
    folder = None if images is None else Path(images)
    with as_file(table) as file:
        options = {**by_role, "skip_missing": skip_missing}
        data_set = read_own_table(name, file, folder, classes, **options)
    if isinstance(table, (str, Path)):
        return data_set
    # The file of a DataFrame was a temporary one: guesses about it are of no use to anyone.
    images_of_table = [
        image._replace(where=image.where.replace(str(file), "DataFrame"))
        for image in data_set.images
    ]
    return data_set._replace(images=images_of_table, guesses=())


@errors_for_scripts
def starter_config(task: str, folder: PathLike = PREPARED_FOLDER) -> dict[str, Any]:
    """A configuration that suits the images of a prepared task, as ``fashionai init`` writes it.

    Args:
        task: Name of a task that ``prepare`` has put below ``folder``.
        folder: Folder of prepared tasks.

    Returns:
        Keys and values for ``train``.

    Raises:
        DataError: The task is not prepared, or an image of it is damaged.

    Example:
        >>> config = fashionai.starter_config("birds")
        >>> config["epochs"] = 5
    """
    from fashionai.starter.write import make_starter

    return make_starter(task, Path(folder), Path("FILE")).tree


@errors_for_scripts
def train(
    config: Union[PathLike, Mapping[str, Any], Config],
    overrides: Union[Mapping[str, Any], Sequence[str]] = (),
    *,
    run: Optional[PathLike] = None,
    resume: bool = False,
    device: str = "auto",
    gpus: Sequence[int] = (),
) -> Run:
    """Train a network on prepared folders and return its run.

    An existing run is never overwritten: without ``resume`` the new run gets another name.

    Args:
        config: YAML file, keys and values as in such a file, or a Config.
        overrides: Values by dotted key, ``{"optimizer.lr": 0.01}``, or ``key=value`` texts.
        run: Folder of the run; by default ``runs/TASK``.
        resume: Resume the run where it stopped, or return it if it is finished.
        device: ``auto``, ``cpu`` or ``gpu``.
        gpus: Indices of the GPUs to use; all by default.

    Returns:
        The run, opened.

    Raises:
        ConfigError: Unknown keys or wrong values, all of them in one message.
        DataError: Prepared folders that cannot be used.
        RunError: ``resume`` with another configuration.
        TrainingError: The loss is not finite.
        RunStoppedError: Ctrl-C; the state is saved.

    Example:
        >>> run = fashionai.train("configs/skirt.yaml", {"epochs": 10})
    """
    return start.train(
        _resolve(config, overrides),
        Path(run) if run is not None else None,
        device,
        gpu_indices(device, gpus),
        resume=resume,
    )


def _resolve(
    config: Union[PathLike, Mapping[str, Any], Config],
    overrides: Union[Mapping[str, Any], Sequence[str]],
) -> Config:
    """The configuration with the overrides applied, all errors at once."""
    if isinstance(overrides, Mapping):
        # The values of overrides are YAML, which includes JSON.
        values = as_json("overrides", overrides)
        overrides = [f"{key}={dump_json(value)}" for key, value in values.items()]
    overrides = [str(override) for override in listed(overrides)]
    if isinstance(config, (str, Path)):
        return load_config(Path(config), overrides)
    tree = config.model_dump() if isinstance(config, Config) else as_json("config", config)
    return resolve_config(tree, "config", overrides)
