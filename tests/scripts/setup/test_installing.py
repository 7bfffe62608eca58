"""setup.sh from the first call on: what it installs once, anew and in another place."""

from __future__ import annotations

import pytest

from tests.scripts.setup.project import Project


def test_installs_once(project: Project) -> None:
    first = project.setup("--cpu")
    assert (first.returncode, first.stderr) == (0, "")
    lines = first.stdout.splitlines()
    assert lines[0] == "Installing fashionai in .venv (Python 3.11, MXNet for the CPU)"
    assert lines[1].startswith("Installed. To use fashionai in this terminal: source ")
    assert len(lines) == 2
    assert project.notes() == [project.install("cpu")]
    second = project.setup()
    assert (second.returncode, second.stdout, second.stderr) == (0, "", "")
    assert project.notes() == []


def test_an_install_with_dev_serves_calls_without(project: Project) -> None:
    project.setup("--cpu", "--dev")
    assert project.notes() == [project.install("cpu,dev,torch")]
    for arguments in ([], ["--cpu"], ["--dev"]):
        assert project.setup(*arguments).stdout == ""
    assert project.notes() == []


def test_dev_is_added_later(project: Project) -> None:
    project.setup("--cpu")
    project.setup("--dev")
    assert project.notes() == [project.install("cpu"), project.install("cpu,dev,torch")]


def test_another_pyproject_installs_the_same_extras_again(project: Project) -> None:
    project.setup("--cpu", "--dev")
    with open(project.root / "pyproject.toml", "a", encoding="utf-8") as handle:
        handle.write("# changed\n")
    project.setup()
    assert project.notes() == [project.install("cpu,dev,torch")] * 2


def test_the_other_build_is_uninstalled_first(project: Project) -> None:
    project.setup("--gpu")
    (project.home / "INSTALLED").write_text("mxnet-cu112\nnvidia-cublas-cu11\nnumpy\n")
    assert project.setup("--dev").returncode == 0  # keeps the build
    project.setup("--cpu")
    assert project.notes() == [
        project.install("gpu"),
        project.install("gpu,dev"),
        "uninstall -y mxnet mxnet-cu112 nvidia-cublas-cu11",
        project.install("cpu,dev"),
    ]


def test_another_environment_is_kept_apart(project: Project) -> None:
    project.setup("--cpu")
    other = project.setup("--cpu", "--dev", FASHIONAI_VENV=".venv-3.9")
    assert other.stdout.startswith("Installing fashionai in .venv-3.9 (Python 3.11, ")
    assert project.notes() == [project.install("cpu"), project.install("cpu,dev,torch")]
    for environment in ({}, {"FASHIONAI_VENV": ".venv-3.9"}):
        assert project.setup("--cpu", **environment).stdout == ""
    assert (project.root / ".venv-3.9/bin/python").is_file()
    assert project.notes() == []


@pytest.mark.parametrize("name", [".", "scripts", "..", ".venv/..", "/tmp/.venv"])
def test_an_environment_is_no_other_folder(project: Project, name: str) -> None:
    refused = project.setup("--cpu", FASHIONAI_VENV=name)
    assert refused.returncode == 2
    expected = f"setup.sh: FASHIONAI_VENV is '{name}', expected a name such as .venv-3.9\n"
    assert refused.stderr == expected
    assert project.notes() == []


def test_an_interrupted_install_is_made_anew(project: Project) -> None:
    project.setup("--cpu")
    venv = project.root / ".venv"
    (venv / "fashionai-setup").unlink()
    (venv / "fashionai-unfinished").touch()
    (venv / "half-written").touch()
    project.setup("--cpu")
    assert project.notes() == [project.install("cpu")] * 2
    assert not (venv / "half-written").exists()
    assert project.setup().stdout == ""


def test_a_venv_without_a_working_python_is_made_anew(project: Project) -> None:
    project.setup("--cpu")
    (project.root / ".venv/bin/python").write_text("#!/nonexistent/python\n")
    assert project.setup("--cpu").returncode == 0
    assert project.notes() == [project.install("cpu")] * 2


def test_a_moved_project_is_set_up_anew(project: Project) -> None:
    project.setup("--cpu")
    project.root = project.root.rename(project.root.with_name("moved"))
    (project.root / ".venv/old").touch()
    project.notes()
    project.setup("--cpu")
    assert project.notes() == [project.install("cpu")]
    assert not (project.root / ".venv/old").exists()


def test_the_output_of_pip_is_shown_when_it_fails(project: Project) -> None:
    said = [f"line {number}" for number in range(30)]
    (project.home / "FAIL").write_text("\n".join(said) + "\n")
    failed = project.setup("--cpu")
    assert failed.returncode == 1
    log = project.root / ".venv/fashionai-setup.log"
    assert failed.stderr.splitlines() == [
        *said[-10:],
        f"setup.sh: installation failed; the end of the log is above, the whole log is in {log}",
    ]
    (project.home / "FAIL").unlink()
    assert project.setup("--cpu").returncode == 0
    assert project.setup().stdout == ""


def test_a_server_without_a_display_gets_the_headless_opencv(project: Project) -> None:
    (project.home / "NO_DISPLAY").touch()
    finished = project.setup("--cpu")
    assert finished.returncode == 0
    assert finished.stdout.splitlines()[1:-1] == [
        "Replacing opencv-python with opencv-python-headless 4.11.0.86 "
        "(ImportError: libGL.so.1: cannot open shared object file)"
    ]
    assert project.notes() == [
        project.install("cpu"),
        "uninstall -y opencv-python opencv-python-headless",
        "install opencv-python-headless==4.11.0.86",
    ]
