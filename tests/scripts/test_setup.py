"""setup.sh from the first call on, with an interpreter that only notes what pip is told."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from packaging.specifiers import SpecifierSet

ROOT = Path(__file__).resolve().parent.parent.parent
TORCH = "2.13.0"

# Answers what setup.sh asks of a Python, and makes a .venv by copying itself there. NOTES is the
# file for pip's arguments; pip fails while a file FAIL exists, cv2's import while NO_DISPLAY does.
# LIBRARY_SAYS has the compute capabilities that the driver's library tells, VERSION the Python's.
FAKE_PYTHON = """\
#!/bin/bash
folder={folder}
case $* in
  *version_info*) cat "$folder/VERSION" ;;
  *realpath*) echo "$folder/python3" ;;
  *'version("opencv-python")'*) echo 4.11.0.86 ;;
  '-m venv '*) mkdir -p "$3/bin" && cp "$0" "$3/bin/python" ;;
  *cuDeviceGetAttribute*) cat "$folder/LIBRARY_SAYS" 2>/dev/null ;;
  '-m pip list'*) cat "$folder/INSTALLED" | sed 's/$/==1.0/' ;;
  '-m pip '*)
    echo "$*" | sed 's/^-m pip --disable-pip-version-check //' >>"$folder/NOTES"
    if [ -e "$folder/FAIL" ]; then cat "$folder/FAIL"; exit 1; fi
    case $* in *headless==*) rm -f "$folder/NO_DISPLAY" ;; esac ;;
  '-c import cv2')
    if [ -e "$folder/NO_DISPLAY" ]; then
      echo "ImportError: libGL.so.1: cannot open shared object file" >&2
      exit 1
    fi ;;
esac
"""

# The files CAPABILITIES and DRIVER have what nvidia-smi tells of each GPU. Without the first there
# is no driver; with an empty one nvidia-smi cannot tell, as before 2022.
FAKE_NVIDIA_SMI = """\
#!/bin/bash
folder={folder}
[ -e "$folder/CAPABILITIES" ] || exit 9
case $* in
  *compute_cap*)
    if [ ! -s "$folder/CAPABILITIES" ]; then echo 'Field "compute_cap" is not valid' && exit 2; fi
    cat "$folder/CAPABILITIES" ;;
  *driver_version*) cat "$folder/DRIVER" ;;
esac
"""


class Project:
    """A copy of what setup.sh needs, in a path with a space."""

    def __init__(self, folder: Path) -> None:
        self.home = folder / "fake python"
        self.root = folder / "a project"
        (self.root / "scripts").mkdir(parents=True)
        self.home.mkdir()
        (self.home / "INSTALLED").touch()
        (self.home / "VERSION").write_text("3.11\n")
        (self.home / "DRIVER").write_text("580.65.06\n")
        shutil.copy(ROOT / "scripts/setup.sh", self.root / "scripts")
        shutil.copy(ROOT / "pyproject.toml", self.root)
        self.write_program("python3", FAKE_PYTHON)
        self.write_program("nvidia-smi", FAKE_NVIDIA_SMI)
        self.write_program("ldconfig", "#!/bin/sh\n")

    def write_program(self, name: str, text: str) -> None:
        """A program that setup.sh finds before the machine's own."""
        program = self.home / name
        program.write_text(text.replace("{folder}", f"'{self.home}'"))
        program.chmod(0o755)

    def have_gpus(self, *capabilities: str) -> None:
        """Make nvidia-smi tell these compute capabilities."""
        (self.home / "CAPABILITIES").write_text("".join(f"{gpu}\n" for gpu in capabilities))

    def setup(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Call setup.sh from another directory."""
        return subprocess.run(
            [str(self.root / "scripts/setup.sh"), *arguments],
            cwd=self.home,
            env={
                **os.environ,
                "PATH": f"{self.home}:{os.environ['PATH']}",
                "PYTHON": str(self.home / "python3"),
                **environment,
            },
            capture_output=True,
            text=True,
            timeout=60,
        )

    def notes(self) -> list[str]:
        """What pip was told since the last call of this."""
        notes = self.home / "NOTES"
        if not notes.exists():
            return []
        lines = notes.read_text().splitlines()
        notes.unlink()
        return lines

    def install(self, extras: str, torch: str = TORCH) -> str:
        """What pip is told to install these extras; ``torch`` is the version of PyTorch."""
        pinned = f" torch=={torch}" if "torch" in extras else ""
        return f"install --editable {self.root}[{extras}]{pinned}"


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """A project in which nothing is set up."""
    return Project(tmp_path)


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


# PyTorch


@pytest.mark.parametrize(
    ("capabilities", "extras", "told"),
    [
        ([], "cpu", "MXNet for the CPU"),
        (["5.2"], "gpu", "MXNet for the GPU, 2.3 GB to download"),
        (["8.0", "8.9"], "gpu", "MXNet for the GPU, 2.3 GB to download"),
        (["9.0"], "cpu,torch", "MXNet for the CPU, PyTorch 2.13.0 with up to 4 GB to download"),
        (["12.0"], "cpu,torch", "MXNet for the CPU, PyTorch 2.13.0 with up to 4 GB to download"),
        # PyTorch can use both, MXNet one of them.
        (["10.0", "8.0"], "cpu,torch", "MXNet for the CPU, PyTorch 2.13.0 with up to 4 GB"),
    ],
)
def test_the_gpus_decide_what_is_installed(
    project: Project, capabilities: list[str], extras: str, told: str
) -> None:
    if capabilities:
        project.have_gpus(*capabilities)
    finished = project.setup()
    assert (finished.returncode, finished.stderr) == (0, "")
    assert finished.stdout.startswith(f"Installing fashionai in .venv (Python 3.11, {told}")
    assert project.notes() == [project.install(extras)]
    assert project.setup().stdout == ""
    assert project.notes() == []


@pytest.mark.parametrize(
    ("told", "extras"), [("8.6\n", "gpu"), ("7.5\n9.0\n", "cpu,torch"), ("", "gpu")]
)
def test_the_library_of_the_driver_is_asked_where_nvidia_smi_cannot_tell(
    project: Project, told: str, extras: str
) -> None:
    project.have_gpus()
    (project.home / "LIBRARY_SAYS").write_text(told)
    finished = project.setup()
    assert project.notes() == [project.install(extras)]
    hint = (
        "There is an NVIDIA driver but it finds no GPU; for GPUs of compute capability 9.0 and "
        "later (H100, RTX 50) run: scripts/setup.sh --torch"
    )
    assert (finished.stdout.splitlines()[0] == hint) == (told == "")


def test_a_driver_without_nvidia_smi(project: Project) -> None:
    project.write_program("ldconfig", "#!/bin/sh\necho libcuda.so.1\n")
    (project.home / "LIBRARY_SAYS").write_text("9.0\n")
    project.setup()
    assert project.notes() == [project.install("cpu,torch")]


@pytest.mark.parametrize(
    ("arguments", "extras"),
    [
        (["--cpu"], "cpu"),
        (["--gpu"], "gpu"),
        (["--no-torch"], "cpu"),
        (["--torch"], "cpu,torch"),
        (["--cpu", "--torch"], "cpu,torch"),
    ],
)
def test_arguments_overrule_the_gpus(project: Project, arguments: list[str], extras: str) -> None:
    project.have_gpus("9.0")
    project.setup(*arguments)
    assert project.notes() == [project.install(extras)]


@pytest.mark.parametrize("gpus", [[], ["8.0"]])
def test_torch_is_added_anywhere(project: Project, gpus: list[str]) -> None:
    if gpus:
        project.have_gpus(*gpus)
    project.setup("--torch")
    assert project.notes() == [project.install("cpu,torch")]


def test_torch_is_remembered(project: Project) -> None:
    project.setup("--cpu", "--torch")
    for arguments in ([], ["--cpu"], ["--no-torch"], ["--torch"]):
        assert project.setup(*arguments).stdout == ""
    project.setup("--dev", "--no-torch")
    assert project.notes() == [project.install("cpu,torch"), project.install("cpu,dev,torch")]


def test_the_tests_can_do_without_torch(project: Project) -> None:
    project.setup("--cpu", "--dev", "--no-torch")
    assert project.setup().stdout == ""
    assert project.setup("--dev", "--no-torch").stdout == ""
    project.setup("--dev")
    assert project.notes() == [project.install("cpu,dev"), project.install("cpu,dev,torch")]


@pytest.mark.parametrize(
    ("python", "driver", "version"),
    [
        ("3.9", "580.65.06", "2.8.0"),
        ("3.10", "580.65.06", TORCH),
        ("3.11", "535.161.08", "2.8.0"),
        ("3.12", "1000.1", TORCH),
        ("3.12", "", TORCH),
    ],
)
def test_the_version_of_torch(project: Project, python: str, driver: str, version: str) -> None:
    """The index's builds of 2.13.0 have CUDA 13, which needs a driver of 580 or later."""
    (project.home / "VERSION").write_text(f"{python}\n")
    (project.home / "DRIVER").write_text(f"{driver}\n")
    project.have_gpus("9.0")
    project.setup()
    assert project.notes() == [project.install("cpu,torch", version)]
    assert project.setup("--torch").stdout == ""


def test_another_version_of_torch_is_installed_when_setup_names_it(project: Project) -> None:
    project.setup("--cpu", "--torch")
    script = project.root / "scripts/setup.sh"
    script.write_text(script.read_text().replace(f"torch_version={TORCH}", "torch_version=2.13.1"))
    project.setup()
    assert project.notes() == [
        project.install("cpu,torch"),
        project.install("cpu,torch", "2.13.1"),
    ]


def test_the_gpu_build_replaces_torch_and_its_libraries(project: Project) -> None:
    """Both have libnccl.so.2 in the folder nvidia/nccl/lib."""
    project.setup("--cpu", "--torch")
    installed = ["mxnet", "torch", "triton", "nvidia-nccl-cu13", "nvidia-cublas", "cuda-bindings"]
    (project.home / "INSTALLED").write_text("\n".join([*installed, "numpy", "torchtune"]) + "\n")
    project.setup("--gpu", "--dev")
    assert project.notes() == [
        project.install("cpu,torch"),
        "uninstall -y mxnet mxnet-cu112 torch triton nvidia-nccl-cu13 nvidia-cublas cuda-bindings",
        project.install("gpu,dev"),
    ]


def test_torch_replaces_the_gpu_build(project: Project) -> None:
    project.setup("--gpu")
    (project.home / "INSTALLED").write_text("mxnet-cu112\nnvidia-nccl-cu11\nnumpy\n")
    project.setup("--torch")
    assert project.notes() == [
        project.install("gpu"),
        "uninstall -y mxnet mxnet-cu112 nvidia-nccl-cu11",
        project.install("cpu,torch"),
    ]


def test_an_installation_from_before_torch_was_known(project: Project) -> None:
    """Its stamp lacks the last line."""
    project.setup("--cpu", "--dev", "--no-torch")
    stamp = project.root / ".venv/fashionai-setup"
    stamp.write_text("".join(stamp.read_text().splitlines(keepends=True)[:5]))
    project.setup()
    project.setup("--dev")
    assert project.notes() == [
        project.install("cpu,dev"),
        project.install("cpu,dev"),
        project.install("cpu,dev,torch"),
    ]


def test_the_pinned_versions_are_those_of_the_extra() -> None:
    extra = re.search(r'^torch = \["torch(.*)"\]$', (ROOT / "pyproject.toml").read_text(), re.M)
    pinned = re.findall(r"torch_version=(.*)", (ROOT / "scripts/setup.sh").read_text())
    assert extra is not None
    assert pinned == [TORCH, "2.8.0"]
    assert all(SpecifierSet(extra[1]).contains(version) for version in pinned)
