"""fashionai soup."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from fashionai.cli.arguments.options import device_options, parse_gpus
from fashionai.cli.terminal.next_steps import after_train
from fashionai.cli.terminal.progress import log_to_terminal, progress_bar
from fashionai.errors import counted

if TYPE_CHECKING:
    from fashionai.soup import Soup

EPILOG = """
\b
Examples:
  fashionai soup --run runs/a --run runs/b --run runs/c --out runs/soup
  fashionai soup --run runs/a --run runs/b --out runs/mean --method uniform
"""


@click.command(epilog=EPILOG)
@click.option(
    "--run",
    "run_paths",
    type=click.Path(path_type=Path),
    multiple=True,
    required=True,
    help="Run to average; given at least twice.",
)
@click.option(
    "--out", type=click.Path(path_type=Path), required=True, help="Folder of the new run."
)
@click.option(
    "--method",
    type=click.Choice(["greedy", "uniform"]),
    default="greedy",
    help="greedy: the best run, and each other one that does not lower the validation score of the "
    "average. uniform: all runs.",
)
@click.option("--overwrite", is_flag=True, help="Delete an existing run in OUT.")
@device_options
def command(
    run_paths: tuple[Path, ...], out: Path, method: str, overwrite: bool, device: str, gpus: str
) -> None:
    """Average the weights of several runs into one network (a model soup).

    It predicts as fast as one run. The runs must have begun with the same weights:
    train one run, then several with model.pretrained=RUN/best.params that differ in
    seed, rate or augmentation. The score is the monitor of the first run. The result
    is a run, which every other command takes.
    """
    if len(run_paths) < 2:
        raise click.UsageError("give --run at least twice")
    chosen_gpus = parse_gpus(gpus)
    from fashionai.frameworks.choice import choose_devices, one_of
    from fashionai.soup import make_soup

    log_to_terminal()
    contexts = one_of(choose_devices("auto", device, chosen_gpus))
    soup = make_soup(
        run_paths, out, contexts, method=method, overwrite=overwrite, progress=progress_bar
    )
    _print(soup)
    taken = sum(each.taken for each in soup.ingredients)
    click.echo(f"{out}: the average of {taken} of {counted(len(soup.ingredients), 'run')}")
    click.echo(after_train(out))


def _print(soup: Soup) -> None:
    from fashionai.reporting.tables import score_table

    rows = [(str(run), "yes" if taken else "no", scores) for run, scores, taken in soup.ingredients]
    click.echo(score_table([*rows, (str(soup.folder), "", soup.scores)], ("run", "taken")))
