"""test_versions.sh: which interpreters it finds, and what it runs with them."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.support.commands import ROOT

# Makes the environment that it is told, with a pytest that only notes how it is called.
SETUP = """\
#!/bin/bash
mkdir -p "$FASHIONAI_VENV/bin"
echo "setup $FASHIONAI_VENV $PYTHON $*" >>notes
printf '#!/bin/sh\\necho "%s $*" >>notes\\n' "$FASHIONAI_VENV" >"$FASHIONAI_VENV/bin/pytest"
chmod +x "$FASHIONAI_VENV/bin/pytest"
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project whose .venv has Python 3.11."""
    project = tmp_path / "a project"
    (project / "scripts").mkdir(parents=True)
    shutil.copy(ROOT / "scripts/test_versions.sh", project / "scripts")
    (project / "scripts/setup.sh").write_text(SETUP)
    (project / "scripts/setup.sh").chmod(0o755)
    python(project / ".venv/bin/python", "3.11")
    return project


def python(path: Path, version: str) -> Path:
    """An interpreter that knows nothing but its version."""
    path.parent.mkdir(parents=True)
    path.write_text(f"#!/bin/sh\necho {version}\n")
    path.chmod(0o755)
    return path


def run(project: Path, pyenv: Path, *arguments: str) -> list[str]:
    """What it prints. On its path there is no Python."""
    tools = project / "tools"
    tools.mkdir()
    for name in ("bash", "chmod", "dirname", "mkdir"):
        (tools / name).symlink_to(str(shutil.which(name)))
    done = subprocess.run(
        [str(project / "scripts/test_versions.sh"), *arguments],
        env={**os.environ, "PATH": str(tools), "PYENV_ROOT": str(pyenv), "HOME": "/nowhere"},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.splitlines()


def test_what_is_not_installed_is_skipped(project: Path, tmp_path: Path) -> None:
    assert run(project, tmp_path / "pyenv") == [
        "Python 3.9: skipped, not found",
        "Python 3.12: skipped, not found",
    ]


def test_each_version_has_its_environment(project: Path, tmp_path: Path) -> None:
    found = [
        python(tmp_path / f"pyenv/versions/{version}/bin/python", version.rpartition(".")[0])
        for version in ("3.9.18", "3.10.1", "3.12.1")
    ]
    assert run(project, tmp_path / "pyenv", "-k", "ties") == [
        "== Python 3.9: the fast tests",
        "== Python 3.12: the fast tests",
    ]
    notes = (project / "notes").read_text().splitlines()
    assert notes[::2] == [
        f"setup .venv-3.9 {found[0]} --cpu --dev --no-torch",
        f"setup .venv-3.12 {found[2]} --cpu --dev --no-torch",
    ]
    for line, environment in zip(notes[1::2], (".venv-3.9", ".venv-3.12")):
        name, *arguments = line.split()
        assert name == environment
        assert arguments[-2:] == ["-k", "ties"]
        ignored = [word.partition("=")[2] for word in arguments if word.startswith("--ignore=")]
        assert ignored
        assert [path for path in ignored if not (ROOT / path).exists()] == []


def test_the_version_of_venv_is_skipped(project: Path, tmp_path: Path) -> None:
    shutil.rmtree(project / ".venv")
    python(project / ".venv/bin/python", "3.12")
    python(tmp_path / "pyenv/versions/3.12.1/bin/python", "3.12")
    assert run(project, tmp_path / "pyenv")[1:] == ["Python 3.12: skipped, it is that of .venv"]
    assert not (project / "notes").exists()
