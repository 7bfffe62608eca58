"""The command line as a whole: help, start-up, errors."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from pathlib import Path

import click
import pytest

from fashionai.cli import COMMANDS, main, root
from fashionai.cli.arguments.thresholds import Threshold
from tests.support.commands import ROOT, fashionai, run_cli


def seconds(*arguments: str) -> float:
    begun = time.perf_counter()
    subprocess.run([sys.executable, *arguments], check=True, capture_output=True, cwd=ROOT)
    return time.perf_counter() - begun


def test_help_imports_no_mxnet_and_little_else() -> None:
    program = (
        "import sys; from fashionai.cli import main\n"
        "try: main(['--help'])\n"
        "except SystemExit as stop: assert stop.code == 0\n"
        "heavy = {'mxnet', 'gluoncv', 'torch', 'numpy', 'cv2', 'pandas', 'pydantic'}\n"
        "heavy |= {'yaml', 'tqdm'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, cwd=ROOT)


def test_training_predicting_and_scoring_import_neither_scikit_learn_nor_scipy() -> None:
    """The two would take 0.7 s."""
    program = (
        "import sys, fashionai.predictions.predict, fashionai.scoring.evaluate\n"
        "import fashionai.scoring.compare, fashionai.scoring.ensemble, fashionai.training.trainer\n"
        "heavy = {'sklearn', 'scipy'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, cwd=ROOT)


def test_the_public_names_exist_and_importing_the_package_imports_none_of_them() -> None:
    program = (
        "import sys, fashionai\n"
        "assert not {'mxnet', 'numpy'} & set(sys.modules)\n"
        "missing = [name for name in fashionai.PUBLIC if not callable(getattr(fashionai, name))]\n"
        "assert not missing, missing"
    )
    subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, cwd=ROOT)


def test_help_starts_in_less_than_five_bare_pythons() -> None:
    """Alternating, so that a busy machine slows both; -I keeps site packages out of neither."""
    pairs = [(seconds("-m", "fashionai", "--help"), seconds("-c", "pass")) for _ in range(9)]
    ratio = statistics.median(ours for ours, _ in pairs) / statistics.median(
        bare for _, bare in pairs
    )
    assert ratio < 5


@pytest.mark.parametrize("command", list(COMMANDS))
def test_every_command_explains_itself_in_80_columns(command: str, tmp_path: Path) -> None:
    done = run_cli(command, "--help", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert max(map(len, done.stdout.splitlines())) <= 80
    assert f"Example{'' if command == 'demo' else 's'}:" in done.stdout


def test_no_option_takes_nan_for_a_number() -> None:
    """A range of Click does, and a limit that is NaN holds nothing back."""
    commands = [root.get_command(click.Context(root), name) for name in COMMANDS]
    numbers = [
        parameter
        for command in commands
        for parameter in command.params
        if isinstance(parameter.type, (click.types.FloatParamType, Threshold))
    ]
    assert len(numbers) > 10
    for number in numbers:
        with pytest.raises(click.BadParameter, match="found 'nan', expected a number"):
            number.type.convert("nan", number, None)


@pytest.mark.parametrize("name", ["list", "fetch", "import", "verify", "where"])
def test_the_commands_of_weights_have_examples_behind_their_options(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert fashionai("weights", name, "--help") == 0
    options, _, shown = capsys.readouterr().out.partition("Example")
    assert "--help" in options
    assert f"fashionai weights {name}" in shown


@pytest.mark.parametrize("name", ["runs", "tasks", "models", "init", "predict"])
def test_examples_stand_behind_the_options(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert fashionai(name, "--help") == 0
    assert "--help" in capsys.readouterr().out.partition("Examples:")[0]


def test_errors_are_one_line_with_exit_code_2(tmp_path: Path) -> None:
    done = run_cli("prepare", "--task", "skrit", cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr == (
        "Error: unknown task 'skrit'. Did you mean 'skirt'? "
        "For your own images, give --csv or --folders\n"
    )
    assert done.stdout == ""


def test_a_long_error_has_its_hint_on_a_line_of_its_own_on_a_terminal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Elsewhere every error is one line, which other programs can search."""
    monkeypatch.chdir(tmp_path)
    short, long = ["runs"], ["train", "--config", "skrit"]

    def printed(arguments: list[str]) -> str:
        assert fashionai(*arguments) == 2
        return capsys.readouterr().err

    one_line = printed(long)
    message, _, hint = one_line.partition(". ")
    assert one_line.count("\n") == 1
    assert len(one_line) > 81
    assert hint
    brief = printed(short)
    assert ". Give another folder" in brief
    assert len(brief) <= 81
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    assert printed(long) == f"{message}.\n{hint}"
    assert printed(short) == brief


def test_a_text_that_is_taken_for_a_path_is_cut(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "c.yaml").write_text(f"task: unheard-of\ndata: {{folder: {'a' * 100_000}}}\n")
    with pytest.raises(SystemExit) as stopped:
        main(["config", str(tmp_path / "c.yaml")])
    message = capsys.readouterr().err
    assert stopped.value.code == 2
    assert message.startswith("Error: ")
    assert len(message) < 5_000


@pytest.mark.parametrize(("rank", "told"), [("0", "\nInterrupted.\n"), ("1", "")])
def test_ctrl_c_is_told_by_the_first_of_several_processes(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], rank: str, told: str
) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    for name, value in (("RANK", rank), ("WORLD_SIZE", "2"), ("LOCAL_RANK", rank)):
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("fashionai.cli.importlib.import_module", interrupt)
    assert fashionai("predict", "--out", "p.csv") == 130
    assert capsys.readouterr().err == told
