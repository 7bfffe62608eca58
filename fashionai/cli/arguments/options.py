"""Options that several commands share, each added by one decorator."""

from __future__ import annotations

import functools
import glob
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Callable, NamedTuple, Optional, TypeVar, cast

import click
from click.shell_completion import CompletionItem

from fashionai.engines.registry import AUTO, ENGINES, framework_of
from fashionai.errors import ConfigError
from fashionai.files.counts import parse_count
from fashionai.files.default_folders import PREPARED_FOLDER
from fashionai.frameworks.devices import DEVICES
from fashionai.normalization import LARGEST_SIDE, SMALLEST_SIDE
from fashionai.pipeline.crop_counts import CROP_COUNTS, DEFAULT_CROPS

if TYPE_CHECKING:
    from fashionai.frameworks.choice import Chosen
    from fashionai.frameworks.processes import Place
    from fashionai.scoring.rows.labels import LabelFiles

Command = TypeVar("Command", bound=Callable[..., Any])

CROPS = click.Choice([str(count) for count in CROP_COUNTS])


# As the name of a file to write: standard output.
STANDARD_OUTPUT = "-"


class OutputFile(click.Path):
    """A file to write. Folders and standard output, which also has the log lines, are refused."""

    def __init__(self) -> None:
        super().__init__(path_type=Path, dir_okay=False)

    def convert(
        self, value: Any, param: Optional[click.Parameter], ctx: Optional[click.Context]
    ) -> Any:
        """Return the path of the file."""
        if str(value) == STANDARD_OUTPUT:
            self.fail("found '-', expected the name of a file", param, ctx)
        return super().convert(value, param, ctx)


def complete_config(
    context: click.Context, parameter: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """Packaged configurations that begin with this text.

    Files are completed instead if a file begins with it, or if no configuration does.
    """
    from fashionai.packaged_configs import first_comment, packaged_configs

    names = [
        CompletionItem(name, help=first_comment(path))
        for name, path in packaged_configs().items()
        if name.startswith(incomplete)
    ]
    is_here = incomplete and any(Path().glob(f"{glob.escape(incomplete)}*"))
    return names if names and not is_here else [CompletionItem(incomplete, type="file")]


def config_option(required: bool = False, note: str = "") -> Callable[[Command], Command]:
    """Add --config as config_file; ``note`` follows its help text."""
    return click.option(
        "--config",
        "config_file",
        type=click.Path(path_type=Path),
        required=required,
        metavar="FILE_OR_NAME",
        shell_complete=complete_config,
        help="YAML file, or the name of a packaged configuration such as skirt." + note,
    )


def prepared_task_options(default: str = str(PREPARED_FOLDER)) -> Callable[[Command], Command]:
    """Add --task as task_name, and --folder, where prepare wrote it to; None if not given.

    ``default`` says in the help what stands for --folder then.
    """

    def add(command: Command) -> Command:
        with_folder = click.option(
            "--folder",
            type=click.Path(path_type=Path),
            help=f"Folder that prepare wrote the task to.  [default: {default}]",
        )(command)
        return click.option(
            "--task", "task_name", required=True, help="Name or alias of a prepared task."
        )(with_folder)

    return add


def device_options(command: Command) -> Command:
    """Add --device and --gpus."""
    command = click.option(
        "--gpus",
        default="",
        show_default=False,
        metavar="0,1",
        help="GPUs to use, by index.  [default: all]",
    )(command)
    return click.option(
        "--device",
        type=click.Choice(DEVICES),
        default="auto",
        help="Device to compute on; auto uses the GPUs if there are any.",
    )(command)


def engine_option(command: Command) -> Command:
    """Add --engine for the framework that trains."""
    return click.option(
        "--engine",
        type=click.Choice(["auto", "gluon", "torch"]),
        help="Framework that trains: gluon is MXNet, torch is PyTorch; replaces the "
        "configuration's engine.",
    )(command)


def with_engine(overrides: Sequence[str], engine: Optional[str]) -> list[str]:
    """The overrides of a configuration, with the value of --engine if it was given."""
    return [*overrides, *([f"engine={engine}"] if engine else [])]


def parse_gpus(text: str) -> list[int]:
    """The GPU indices in a text such as ``0,1``; ConfigError for anything else."""
    found = [parse_count(part.strip()) for part in text.split(",")] if text else []
    indices = [index for index in found if index is not None]
    if len(set(indices)) != len(found):
        raise ConfigError(f"--gpus: found '{text}', expected distinct indices such as 0,1")
    return indices


def run_option(command: Command) -> Command:
    """Add --run for the one run that a command is about."""
    return click.option(
        "--run",
        "run_path",
        type=click.Path(path_type=Path),
        required=True,
        help="Folder of the run, for example runs/skirt.",
    )(command)


def runs_option(command: Command) -> Command:
    """Add --run, which may be repeated, as run_paths."""
    return click.option(
        "--run",
        "run_paths",
        type=click.Path(path_type=Path),
        multiple=True,
        help="Run to use; may be repeated, and runs of one task are averaged.  "
        "[default: for each task the finished run in runs/ with the best validation mAP]",
    )(command)


# The columns of the user's own CSV files, by the option's first word.
COLUMNS = {
    "path": "Name or number of the column of paths.",
    "label": "Name or number of the column of classes.",
    "split": "Column that says train, val or test.",
    "group": "Column of groups; rows of one group stay in one split.",
}


def column_options(*roles: str) -> Callable[[Command], Command]:
    """Add --path-column, --label-column and so on, of these roles in this order."""

    def add(command: Command) -> Command:
        for role in reversed(roles):
            command = click.option(f"--{role}-column", help=COLUMNS[role])(command)
        return command

    return add


def images_option(of: str) -> Callable[[Command], Command]:
    """Add --images, the folder of the images in a CSV file that the option ``of`` gives."""
    return click.option(
        "--images",
        type=click.Path(path_type=Path),
        help=f"Folder that the paths in {of} are relative to.  [default: the file's own folder]",
    )


class GivenLabels(NamedTuple):
    """The values of the options that labels_option adds."""

    paths: tuple[Path, ...]
    images: Optional[Path]
    columns: dict[str, Optional[str]]

    @property
    def files(self) -> LabelFiles:
        """The label files with how they are read; UsageError for options without a file."""
        from fashionai.scoring.rows.labels import LabelFiles

        files = LabelFiles(self.paths, self.columns, self.images)
        if files.options and not self.paths:
            raise click.UsageError(f"{next(iter(files.options))} goes with --labels")
        return files


def labels_option(help_text: str) -> Callable[[Command], Command]:
    """Add --labels and the options for its CSV files, and pass them on as ``labels``."""

    def add(command: Command) -> Command:
        @functools.wraps(command)
        def with_labels(
            *,
            labels: tuple[Path, ...],
            images: Optional[Path],
            path_column: Optional[str],
            label_column: Optional[str],
            split_column: Optional[str],
            **others: Any,
        ) -> Any:
            columns = {"path": path_column, "label": label_column, "split": split_column}
            return command(labels=GivenLabels(labels, images, columns), **others)

        with_columns = column_options("path", "label", "split")(with_labels)
        with_images = images_option("--labels")(with_columns)
        added = click.option(
            "--labels", type=click.Path(path_type=Path), multiple=True, help=help_text
        )(with_images)
        return cast(Command, added)

    return add


def renamed_option(old: str, new: str) -> Callable[[Command], Command]:
    """Refuse a former name of an option with its present one; --help does not show it."""

    def refuse(context: click.Context, parameter: click.Parameter, value: Any) -> None:
        if value is not None:
            raise click.UsageError(f"No such option: {old}. It is called {new} now")

    name = f"former_{old.strip('-').replace('-', '_')}"
    return click.option(old, name, hidden=True, expose_value=False, callback=refuse)


def skip_bad_option(command: Command) -> Command:
    """Add --skip-bad for the images that a command predicts."""
    return click.option(
        "--skip-bad",
        is_flag=True,
        help="Go on without images that cannot be used, and list them on standard error.",
    )(command)


def left_out(name: str, reason: str) -> None:
    """Tell, on standard error, that an image is left out."""
    click.echo(f"left out: {name}: {reason}", err=True)


def left_out_by(place: Place) -> Callable[[str, str], None]:
    """Of several processes the first one tells which images are left out."""
    return left_out if place.is_first else lambda name, reason: None


def calibrated_option(command: Command) -> Command:
    """Add --calibrated for probabilities of runs."""
    return click.option(
        "--calibrated",
        is_flag=True,
        help="Scale the probabilities of each run by its calibration, see fashionai calibrate.",
    )(command)


def overwrite_option(command: Command) -> Command:
    """Add --overwrite for the files that a command writes."""
    return click.option(
        "--overwrite",
        is_flag=True,
        help="Replace an existing file that this command did not write.",
    )(command)


def batch_size_option(command: Command) -> Command:
    """Add --batch-size."""
    return click.option(
        "--batch-size", type=click.IntRange(min=1), default=16, help="Images per device and batch."
    )(command)


def share_between_gpus(devices: Sequence[Any]) -> bool:
    """Run this command in one process for each GPU where PyTorch computes on several.

    Returns False, and does nothing, where one process is enough. Errors as for launch.
    """
    from fashionai.frameworks.devices import TORCH, framework_of_devices

    if len(devices) == 1 or framework_of_devices(devices) != TORCH:
        return False
    from fashionai.training.torch.launch import launch

    launch(click.get_current_context().find_root().obj, len(devices))
    return True


class PredictionSettings(NamedTuple):
    """The values of the options that prediction_options adds."""

    crops: int
    batch_size: int
    engine: str
    device: str
    gpus: list[int]
    image_size: Optional[int] = None

    def contexts(self) -> list[Any]:
        """The devices to compute on."""
        return self.chosen().contexts

    def chosen(self) -> Chosen:
        """The engine and the devices of this process."""
        from fashionai.frameworks.choice import devices_to_predict

        framework = framework_of(self.engine)
        return devices_to_predict(self.engine, framework, self.device, self.gpus)

    @property
    def options(self) -> dict[str, Any]:
        """The keyword arguments of fashionai.predictions.predict.predict."""
        return {"crops": self.crops, "batch_size": self.batch_size, "engine": self.engine}


def prediction_options(command: Command) -> Command:
    """Add the options of commands that predict images, and pass them on as ``settings``.

    They are --crops, --image-size, --batch-size, --engine, --device and --gpus.
    """

    @functools.wraps(command)
    def with_settings(
        *,
        crops: str,
        image_size: Optional[int],
        batch_size: int,
        engine: str,
        device: str,
        gpus: str,
        **others: Any,
    ) -> Any:
        settings = PredictionSettings(
            int(crops), batch_size, engine, device, parse_gpus(gpus), image_size
        )
        return command(settings=settings, **others)

    with_engine = click.option(
        "--engine",
        type=click.Choice([AUTO, *ENGINES]),
        default=AUTO,
        help="Engine that computes the network: auto is the fastest exact one, int8 needs "
        "fashionai quantize before.",
    )(device_options(with_settings))
    with_size = click.option(
        "--image-size",
        type=click.IntRange(SMALLEST_SIDE, LARGEST_SIDE),
        metavar="PIXELS",
        help="Side of the views, where it is not the run's data.crop. data.resize_short changes in "
        "proportion.",
    )(batch_size_option(with_engine))
    with_crops = click.option(
        "--crops",
        type=CROPS,
        default=str(DEFAULT_CROPS),
        help="Views per image: 1 centre; 5 with the corners; 10 with all mirrored.",
    )(with_size)
    return cast(Command, with_crops)
