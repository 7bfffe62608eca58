"""Kills commands at random instants and before single file operations, and repeats them.

Each kill is a SIGKILL to a process of this program. Afterwards the command is repeated, or
resumed; it must succeed, end with the same files bit for bit as one that was not interrupted
(but for times), and leave nothing behind but what docs/reliability.md names.

usage: python scripts/campaigns/kill.py --kills 200 --minutes 60 --seed 1 [COMMAND]...

The commands are prepare, predict, evaluate, quantize, export, weights_fetch, train, cross_validate
and tune; all by default. A table is printed at the end, and the exit code is 1 when there
were faults. Folders of faults are kept in --work.
"""

from __future__ import annotations

import argparse
import importlib
import shutil
import sys
import tempfile
import time
from pathlib import Path

from kill.campaign import Campaign, Outcome, Templates, serve
from kill.scenario import Scenario

COMMANDS = (
    *("prepare", "predict", "evaluate", "quantize", "export", "weights_fetch"),
    *("train", "cross_validate", "tune"),
)


def parse_arguments() -> argparse.Namespace:
    """The options of the command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("commands", nargs="*", metavar="COMMAND", help=", ".join(COMMANDS))
    parser.add_argument("--kills", type=int, default=200, help="kills of all commands together")
    parser.add_argument("--minutes", type=float, default=60.0, help="begin no kill later")
    parser.add_argument("--seed", type=int, default=1, help="draws instants and operations")
    parser.add_argument("--work", type=Path, help="folder to work in  [default: a temporary one]")
    options = parser.parse_args()
    unknown = set(options.commands) - set(COMMANDS)
    if unknown:
        parser.error(f"unknown: {', '.join(sorted(unknown))}; commands: {', '.join(COMMANDS)}")
    return options


def find_scenarios(commands: list[str]) -> list[Scenario]:
    """The scenarios of these commands, or of all."""
    modules = [importlib.import_module(f"kill.{name}") for name in commands or COMMANDS]
    return [scenario for module in modules for scenario in module.SCENARIOS]


def run_campaign(
    scenario: Scenario,
    work: Path,
    templates: Templates,
    port: int,
    seed: int,
    kills: int,
    deadline: float,
) -> Outcome:
    """Kill one command ``kills`` times, in turn before a file operation and at an instant."""
    campaign = Campaign(scenario, work, templates, port, seed)
    campaign.begin()
    operations = campaign.operations()
    for number in range(kills):
        if time.monotonic() > deadline:
            break
        if number % 2 == 0 and operations:
            campaign.kill_before(operations.pop())
        else:
            campaign.kill_at_random()
    if not campaign.outcome.faults:
        shutil.rmtree(work)
    return campaign.outcome


def table(outcomes: list[Outcome]) -> str:
    """One line per command: its file operations, the kills, and the faults."""
    lines = [f"{'command':26} operations  killed before one  at an instant  had ended  faults"]
    for outcome in outcomes:
        lines.append(
            f"{outcome.scenario.name:26} {outcome.operations:10} {outcome.kills_at_operations:18} "
            f"{outcome.kills_at_instants:14} {outcome.ended_before:10} {len(outcome.faults):7}"
        )
    return "\n".join(lines)


def main() -> None:
    """Run the campaign and print its table."""
    options = parse_arguments()
    scenarios = find_scenarios(options.commands)
    work = options.work or Path(tempfile.mkdtemp(prefix="fashionai-kill-"))
    deadline = time.monotonic() + 60 * options.minutes
    templates = Templates(work)
    outcomes: list[Outcome] = []
    for index, scenario in enumerate(scenarios):
        # The kills that are left are shared by the scenarios that are left.
        done = sum(each.kills_at_operations + each.kills_at_instants for each in outcomes)
        kills = round((options.kills - done) / (len(scenarios) - index))
        folder = work / scenario.name.replace(" ", "-").replace(",", "")
        with serve(folder) as port:
            outcome = run_campaign(scenario, folder, templates, port, options.seed, kills, deadline)
        outcomes.append(outcome)
        for fault in outcome.faults:
            print(fault, flush=True)
    print(table(outcomes))
    if not any(outcome.faults for outcome in outcomes) and options.work is None:
        shutil.rmtree(work)
    sys.exit(any(outcome.faults for outcome in outcomes))


if __name__ == "__main__":
    main()
