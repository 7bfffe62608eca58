"""fashionai models."""

from __future__ import annotations

import click

EPILOG = """
\b
Examples:
  fashionai models
  fashionai models resnet50_v2 mobilenet
"""


@click.command(epilog=EPILOG)
@click.argument("names", nargs=-1, metavar="[NAME]...")
def command(names: tuple[str, ...]) -> None:
    """List the networks with their cost, accuracy and available weights.

    NAME is the name of a network, or the beginning of several names.
    """
    from fashionai.models.catalogue import find_networks
    from fashionai.reporting.networks import network_table

    click.echo(network_table(find_networks(names)))
