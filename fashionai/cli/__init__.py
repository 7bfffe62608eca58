"""The command line: one file per command in a folder of its subject, imported when it runs.

A command parses its arguments, makes one library call and prints; all errors
that a user can correct end here as a message and exit code 2.
"""

from __future__ import annotations

import importlib
import io
import os
import sys
import time
from collections.abc import Sequence
from typing import Any, Optional

import click
from click.shell_completion import CompletionItem

from fashionai import __version__
from fashionai.cli.groups import CommandGroup
from fashionai.cli.terminal.streams import LOST_OUTPUT, make_streams_safe
from fashionai.cli.terminal.usage_hints import usage_hint
from fashionai.cli.terminal.wrapping import WIDTH, for_terminal
from fashionai.errors import (
    ConfigError,
    DataError,
    FashionAIError,
    RunStoppedError,
    counted,
    printable,
    shown,
)
from fashionai.frameworks.processes import place_or_alone

# In characters: no longer path exists, but a text may have been taken for one.
LONGEST_PATH = 4096
# Name, folder and one line of every command, so that --help imports none of them.
COMMANDS = {
    "prepare": ("data", "Reorganize label files and images into per-class folders."),
    "init": ("training", "Write a configuration for a prepared task."),
    "doctor": ("training", "Check whether a training will end well, before it begins."),
    "train": ("training", "Train a network on prepared folders."),
    "predict": ("predictions", "Write a prediction file for a question file, a folder or a split."),
    "pseudo-label": ("predictions", "Write confident predictions as labels to train on."),
    "classify": ("predictions", "Print the classes of images, folders or URLs."),
    "evaluate": ("scoring", "Score predictions against labels."),
    "report": ("scoring", "Write a page that shows how good runs are and where they err."),
    "inspect": ("data", "Find wrong labels, near-duplicates and leaks."),
    "review": ("data", "Correct suspect labels on a page of this machine."),
    "find-lr": ("training", "Suggest a learning rate with a range test."),
    "tune": ("training", "Search for better hyper-parameters."),
    "cross-validate": ("training", "Train one run per fold and write out-of-fold predictions."),
    "soup": ("training", "Average the weights of several runs into one network."),
    "ensemble": ("scoring", "Average prediction files and search for the best weights."),
    "compare": ("scoring", "Compare two prediction files and test their difference."),
    "preview": ("training", "Draw a grid of augmented training images."),
    "calibrate": ("scoring", "Fit a run's probabilities to how often they are correct."),
    "explain": ("predictions", "Draw which pixels of images speak for the predicted classes."),
    "runs": ("scoring", "List runs with their scores."),
    "tasks": ("data", "List tasks with their classes."),
    "quantize": ("deployment", "Quantize a run to 8-bit integers for faster prediction."),
    "bench": ("training", "Measure the speed of this machine and find the bottleneck."),
    "serve": ("deployment", "Serve a run: a page and a JSON API."),
    "export": ("deployment", "Export a run's network for other programs."),
    "verify": ("deployment", "Verify a bundle that export has written."),
    "weights": ("networks", "Download, import and verify pretrained weights."),
    "models": ("networks", "List networks with their cost and accuracy."),
    "config": ("training", "Print a resolved configuration."),
    "covers": ("data", "Download images from lists of URLs."),
    "demo": ("data", "Write a small data set of drawn garments for a trial."),
}

# Several processes share the work of these commands. Others would do it once in each process.
SHARED_COMMANDS = ("train", "predict", "evaluate")
# Most errors occur in all processes. The first one reports them: the launcher then ends the
# others, which wait for so long before they report an error.
SECONDS_FOR_FIRST = 6.0

EPILOG = """
\b
Examples:
  fashionai prepare --task skirt
  fashionai train --config skirt
  fashionai predict --out submission.csv

Run fashionai COMMAND --help for the options of a command.
"""


class _Commands(CommandGroup):
    """A group whose commands are imported when they are run."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> Optional[click.Command]:
        if cmd_name not in COMMANDS:
            return None
        folder, _ = COMMANDS[cmd_name]
        module = f"fashionai.cli.{folder}.{cmd_name.replace('-', '_')}"
        command: click.Command = importlib.import_module(module).command
        return command

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; click ends the line of a terminal at Ctrl-C, in the first process."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            if place_or_alone().is_first:
                raise
            raise click.Abort from None

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """The commands and options that begin with this text; no command is imported."""
        commands = [
            CompletionItem(name, help=line)
            for name, (_, line) in COMMANDS.items()
            if name.startswith(incomplete)
        ]
        return [*commands, *click.Command.shell_complete(self, ctx, incomplete)]

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, line) in COMMANDS.items()])


@click.group(
    cls=_Commands,
    epilog=EPILOG,
    context_settings={
        "help_option_names": ["-h", "--help"],
        "show_default": True,
        "max_content_width": WIDTH,
    },
)
@click.version_option(__version__)
@click.pass_context
def root(context: click.Context) -> None:
    """Turn label files and images into an image classifier and its prediction file."""
    name = context.invoked_subcommand
    if name in SHARED_COMMANDS:
        return
    count = place_or_alone().count
    if count > 1:
        shared = ", ".join(SHARED_COMMANDS)
        raise ConfigError(
            f"{name}: was started in {counted(count, 'process')}, which do not share its work",
            f"Start one process; these share their work: {shared}",
        )


def _run(arguments: Optional[Sequence[str]]) -> None:
    """Run the command line; DataError when its output did not fit on a disk."""
    try:
        given = list(sys.argv[1:] if arguments is None else arguments)
        root.main(arguments, prog_name="fashionai", standalone_mode=False, obj=given)
    except click.exceptions.Exit as stop:  # of --help and --version, too
        if stop.exit_code:
            sys.exit(stop.exit_code)
    sys.stdout.flush()
    if LOST_OUTPUT:
        raise DataError(f"standard output: cannot be written: {LOST_OUTPUT[0].strerror}")


def _tell(error: FashionAIError) -> None:
    """Print an error, or that a training has stopped: all of its processes stop together."""
    if not isinstance(error, RunStoppedError):
        click.echo(_error_text(error), err=True)
    elif place_or_alone().is_first:
        click.echo(for_terminal(printable(str(error))), err=True)


def _error_text(error: FashionAIError) -> str:
    """The error on one line; on a terminal a long line has the hint on a line of its own."""
    begin = f"Error: {_speaker(error.message)}"
    text = printable(f"{begin}{error}")
    longest = max(map(len, text.splitlines()))
    if longest > WIDTH and error.hint and sys.stderr.isatty():
        text = printable(f"{begin}{error.message}.\n{error.hint}")
    return for_terminal(text)


def _usage_error_text(error: click.ClickException) -> str:
    """What click prints about an error, for wrong arguments also the usage; and a hint of ours."""
    shown_by_click = io.StringIO()
    error.show(shown_by_click)
    return for_terminal(f"{shown_by_click.getvalue()}{usage_hint(error)}".rstrip("\n"))


def _speaker(message: str) -> str:
    """How an error begins: of several processes all but the first wait, then tell their place."""
    place = place_or_alone()
    if place.is_first:
        return ""
    time.sleep(SECONDS_FOR_FIRST)
    return "" if str(place) in message else f"{place}: "


def main(arguments: Optional[Sequence[str]] = None) -> None:
    """Run the command line and exit with 0 for success, 2 for user errors, 130 when interrupted."""
    if arguments is None:
        make_streams_safe()
    try:
        _run(arguments)
    except click.ClickException as error:
        click.echo(_usage_error_text(error), err=True)
        sys.exit(error.exit_code)
    except FashionAIError as error:
        if not error.is_told:
            _tell(error)
        sys.exit(error.exit_code)
    except OSError as error:
        # Full disks, missing permissions and the like: a traceback would explain nothing.
        place = shown(str(error.filename or "file system"), LONGEST_PATH)
        text = f"Error: {_speaker('')}{place}: {error.strerror or error}"
        click.echo(for_terminal(text), err=True)
        sys.exit(2)
    except (click.Abort, KeyboardInterrupt):
        if place_or_alone().is_first:  # Ctrl-C interrupts all of them
            click.echo("Interrupted.", err=True)
        if arguments is None:
            # After a second Ctrl-C, threads may still decode images: C++ code aborts the program
            # when such a thread wakes up while Python ends.
            sys.stdout.flush()
            os._exit(130)
        sys.exit(130)
