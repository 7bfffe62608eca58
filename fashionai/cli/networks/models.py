"""fashionai models."""

from __future__ import annotations

from typing import TYPE_CHECKING, Optional

import click

from fashionai.cli.arguments.numbers import NumberRange

if TYPE_CHECKING:
    from fashionai.reporting.networks import Order

EPILOG = """
\b
Examples:
  fashionai models
  fashionai models resnet50_v2 mobilenet
  fashionai models --with-weights --max-gflops 2
"""


@click.command(epilog=EPILOG)
@click.argument("names", nargs=-1, metavar="[NAME]...")
@click.option(
    "--sort",
    "order",
    type=click.Choice(["best", "accuracy", "cost", "name"]),
    default="best",
    show_default=True,
    help="best: first the networks with weights that no other one equals with fewer operations, "
    "then the others, each by accuracy. cost: by operations.",
)
@click.option(
    "--max-params",
    type=NumberRange(min=0, min_open=True),
    help="At most this many million parameters.",
)
@click.option(
    "--max-gflops",
    type=NumberRange(min=0, min_open=True),
    help="At most this many billion multiply-accumulates per image.",
)
@click.option(
    "--with-weights",
    is_flag=True,
    help="Only networks with local weights or weights that can be fetched. The zoos' own hosts "
    "count only with a mirror, $MXNET_GLUON_REPO.",
)
def command(
    names: tuple[str, ...],
    order: Order,
    max_params: Optional[float],
    max_gflops: Optional[float],
    with_weights: bool,
) -> None:
    """List the networks with their accuracy, cost and pretrained weights.

    NAME is the name of a network, or the beginning of several names.
    """
    from fashionai.models.catalogue import find_networks
    from fashionai.reporting.networks import list_network, network_table, select_networks

    networks = [list_network(network) for network in find_networks(names)]
    selected = select_networks(networks, max_params, max_gflops, with_weights)
    if not selected:
        raise click.UsageError("no network is within these limits")
    click.echo(network_table(selected, order))
