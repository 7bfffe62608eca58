"""fashionai tune."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Optional

import click

from fashionai.cli.arguments.durations import Duration
from fashionai.cli.arguments.options import (
    OutputFile,
    config_option,
    device_options,
    engine_option,
    parse_gpus,
    with_engine,
)
from fashionai.cli.terminal.progress import log_to_terminal, progress_bar
from fashionai.errors import counted

if TYPE_CHECKING:
    from fashionai.tuning.budget import Budget
    from fashionai.tuning.study import Study
    from fashionai.tuning.trials import Trial

EXHAUSTED = "no other values were found in its space."
EPILOG = """
\b
Examples:
  fashionai tune --config skirt --trials 20
  fashionai tune --config skirt --time 2h --confirm 3
  fashionai tune --run runs/skirt-tune --resume
  fashionai tune --run runs/skirt-tune --resume --trials 40

KEY=VALUE overrides any key that fashionai config prints.
"""


@click.command(epilog=EPILOG)
@click.argument("overrides", nargs=-1, metavar="[KEY=VALUE]...")
@config_option()
@click.option(
    "--trials",
    type=click.IntRange(1),
    metavar="N",
    help="Number of trials in all. The first one is the configuration itself. A new search needs "
    "--trials or --time.  [default: with --resume the last value]",
)
@click.option(
    "--time",
    "seconds",
    type=Duration(),
    metavar="TIME",
    help="Time for all trials together, such as 90m or 2h. The first trial is always trained "
    "whole.",
)
@click.option(
    "--space",
    "space_file",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="YAML file of the keys to search, with their values.  [default: a space that suits the "
    "configuration, see --show-space]",
)
@click.option(
    "--show-space",
    is_flag=True,
    help="Print the search space, with --resume that of the search, and do nothing else.",
)
@click.option(
    "--objective",
    "objectives",
    multiple=True,
    metavar="NAME",
    help="Validation score to improve, any that monitor can be. A second one, such as time per "
    "image, asks for the best trade-offs, of which --out holds the one that is best by the first.  "
    "[default: the configuration's monitor]",
)
@click.option("--folds", type=click.IntRange(2), help="Score each trial on so many folds.")
@click.option(
    "--sampler", type=click.Choice(["tpe", "random"]), help="What proposes trials.  [default: tpe]"
)
@click.option(
    "--pruner",
    type=click.Choice(["median", "hyperband", "none"]),
    help="What ends trials with low scores before their last epoch.  [default: median]",
)
@click.option(
    "--run",
    "run_path",
    type=click.Path(path_type=Path),
    help="Folder of the search, with a run per trial.  [default: runs/TASK-tune, or "
    "runs/TASK-tune-2 ... if that exists]",
)
@click.option("--resume", is_flag=True, help="Resume the search; start it if it does not exist.")
@click.option(
    "--overwrite",
    is_flag=True,
    help="Delete an existing search and start anew. Replace a configuration that tune did not "
    "write.",
)
@click.option(
    "--out",
    type=OutputFile(),
    metavar="FILE",
    help="The best configuration, by the first objective.  [default: configs/TASK-tuned.yaml, "
    "with --resume the last file]",
)
@click.option(
    "--confirm",
    type=click.IntRange(1),
    metavar="N",
    help="Train the best configuration and the given one again, N times each with new seeds, and "
    "compare their scores on the test images, or on N fresh folds without such.",
)
@engine_option
@device_options
def command(
    overrides: tuple[str, ...],
    config_file: Optional[Path],
    trials: Optional[int],
    seconds: Optional[float],
    space_file: Optional[Path],
    show_space: bool,
    objectives: tuple[str, ...],
    folds: Optional[int],
    sampler: Optional[str],
    pruner: Optional[str],
    run_path: Optional[Path],
    resume: bool,
    overwrite: bool,
    out: Optional[Path],
    confirm: Optional[int],
    engine: Optional[str],
    device: str,
    gpus: str,
) -> None:
    """Search for better hyper-parameters: train many runs and keep the best ones.

    Trials are proposed by Optuna's TPE from the scores of those before. The
    weights of the best trials are kept. A search that was stopped can be
    resumed, and several processes may work on one: start each with --resume.
    """
    if resume and overwrite:
        raise click.UsageError("--resume and --overwrite exclude each other")
    if config_file is None and not (resume and run_path):
        raise click.UsageError("give --config FILE, or --run DIR --resume to resume a search")
    if trials is None and seconds is None and not (show_space or resume):
        raise click.UsageError("give --trials N or --time TIME")
    chosen_gpus = parse_gpus(gpus)
    from fashionai.tuning.settings import Given
    from fashionai.tuning.spaces.planned import space_text
    from fashionai.tuning.study import open_study

    log_to_terminal("fashionai.tuning")
    given = Given(
        config_file,
        with_engine(overrides, engine),
        space_file,
        list(objectives) or None,
        folds,
        sampler,
        pruner,
        trials,
        seconds,
        out,
        confirm,
    )
    if show_space:
        click.echo(space_text(given, run_path, device, chosen_gpus, resume=resume), nl=False)
        return
    study = open_study(
        given, run_path, device, chosen_gpus, progress_bar, resume=resume, overwrite=overwrite
    )
    from fashionai.tuning.search import stoppable

    with stoppable(study):
        _run(study, study.budget, confirm)


def _run(study: Study, budget: Budget, confirm_count: Optional[int]) -> None:
    """Search, and print what was found."""
    from fashionai.tuning.confirm import confirm, confirmation_lines, finished_confirmation
    from fashionai.tuning.outcome import nothing_to_confirm, outcome
    from fashionai.tuning.results import write_best, write_results
    from fashionai.tuning.search import search
    from fashionai.tuning.table import best_lines, importance_lines, table_lines
    from fashionai.tuning.trials import ranked

    click.echo(f"search -> {study.path}")
    display = _Display(study, budget)
    trials = search(study, budget, display.show)
    if budget.allows_another(trials):
        click.echo(f"The search ends after {counted(len(trials), 'trial')}: {EXHAUSTED}")
    best = ranked(trials, study.settings.objectives)[0]
    found = finished_confirmation(study, best)
    notes = confirmation_lines(found, len(trials)) if found else outcome(study, trials)
    importance = study.storage.importance([parameter.key for parameter in study.space])
    files = write_results(study, trials, importance, notes)
    if not display.is_terminal:  # which still shows them
        _print(table_lines(study, trials))
        _print(best_lines(study, trials))
    _print(importance_lines(importance))
    _print([str(file) for file in files])
    if confirm_count and best.number:
        notes = confirmation_lines(confirm(study, best, confirm_count, progress_bar), len(trials))
        write_best(study, trials, notes)
    elif confirm_count:
        notes = [nothing_to_confirm(study, trials)]
    _print(notes)
    if best.number:
        _print([f"Next: fashionai train --config {shlex.quote(str(files[0]))}"])
    elif study.settings.folds is None:
        _print([f"It is trained already: {study.path / 'trial-0'}"])


def _print(lines: Sequence[str]) -> None:
    """Print lines below an empty one, if there are any."""
    if lines:
        click.echo("\n".join(["", *lines]))


class _Display:
    """Shows a table that is drawn anew on a terminal, elsewhere lines about trials that end."""

    def __init__(self, study: Study, budget: Budget) -> None:
        self._study, self._budget = study, budget
        self._told: Optional[set[int]] = None
        self.is_terminal = sys.stdout.isatty()

    def show(self, trials: Sequence[Trial]) -> None:
        """Something of these trials has changed."""
        from fashionai.tuning.table import live_table, trial_lines
        from fashionai.tuning.trials import RUNNING

        ended = [trial for trial in trials if trial.state != RUNNING]
        if self.is_terminal:
            click.clear()
            click.echo(live_table(self._study, self._budget, trials))
            return
        if self._told is None:
            self._told = {trial.number for trial in ended}
            if ended:
                click.echo(f"resumed: {counted(len(ended), 'trial')} had ended")
        for trial in ended:
            if trial.number not in self._told:
                self._told.add(trial.number)
                click.echo("\n".join(trial_lines(self._study, self._budget, trials, trial)))
                sys.stdout.flush()
