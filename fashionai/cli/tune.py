"""fashionai tune."""

from __future__ import annotations

from pathlib import Path
from typing import Optional

import click

from fashionai.cli.durations import Duration
from fashionai.cli.options import (
    OutputFile,
    config_option,
    device_options,
    engine_option,
    parse_gpus,
    with_engine,
)
from fashionai.cli.progress import log_to_terminal, progress_bar

EPILOG = """
\b
Examples:
  fashionai tune --config skirt --trials 20
  fashionai tune --config skirt --time 2h --confirm 3
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
    help="Number of trials, with those of a search that is resumed. The first one is the "
    "configuration itself.",
)
@click.option(
    "--time",
    "seconds",
    type=Duration(),
    metavar="TIME",
    help="Time for the training of all trials together, such as 90m or 2h.",
)
@click.option(
    "--space",
    "space_file",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="YAML file of the keys to search, with their values.  [default: a space that suits the "
    "configuration, see --show-space]",
)
@click.option("--show-space", is_flag=True, help="Print the search space, and do nothing else.")
@click.option(
    "--objective",
    "objectives",
    multiple=True,
    metavar="NAME",
    help="Validation score to improve, any that monitor can be. A second one, such as time per "
    "image, asks for the best trade-offs.  [default: the configuration's monitor]",
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
    help="The best configuration.  [default: configs/TASK-tuned.yaml]",
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
    if trials is None and seconds is None and not show_space:
        raise click.UsageError("give --trials N or --time TIME")
    chosen_gpus = parse_gpus(gpus)
    from fashionai.tuning.results import default_file, write_best, write_trials
    from fashionai.tuning.search import Budget, search
    from fashionai.tuning.study import Given, open_study

    log_to_terminal("fashionai.tuning")
    given = Given(
        config_file,
        with_engine(overrides, engine),
        space_file,
        objectives or None,
        folds,
        sampler,
        pruner,
        seconds,
    )
    study = open_study(
        given, run_path, device, chosen_gpus, progress_bar, resume=resume, overwrite=overwrite
    )
    file = out or default_file(study.config)
    found = search(study, Budget(trials, seconds), lambda trials: None)
    write_trials(study, found)
    write_best(file, study, found, [])
    click.echo(f"{file}: written")
