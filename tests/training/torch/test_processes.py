"""Several processes that train one network, started as users start them; on the CPU, with gloo."""

from __future__ import annotations

import contextlib
import csv
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest

from fashionai.errors import ConfigError
from fashionai.frameworks.processes import Place, current_place, first_host
from fashionai.pipeline.loader import Draws
from fashionai.training.batches.shares import Share
from tests.support.jobs import (
    PATIENCE,
    RESTARTED,
    difference,
    free_port,
    job,
    start,
    trained,
    write_folder,
)
from tests.support.resuming import assert_same_end


@pytest.fixture(scope="module")
def folder(prepared_skirts: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_folder(tmp_path_factory.mktemp("processes"), prepared_skirts)


@pytest.fixture(scope="module")
def two(folder: Path) -> Path:
    trained(folder, 2, *start("two", 8))
    return folder / "runs/two"


@pytest.fixture(scope="module")
def one(folder: Path) -> Path:
    trained(folder, 1, *start("one", 16))
    return folder / "runs/one"


def test_two_processes_train_what_one_does(one: Path, two: Path) -> None:
    assert 0 < difference(one, two) < 1e-5


def test_phases_and_accumulated_batches_are_those_of_one_process(
    folder: Path, tmp_path: Path
) -> None:
    """Kept features first; then gradients, whose norm is limited, are summed once per update."""
    options = ("trainable={head: 1, all: 1}", "data.augment=[]", "optimizer.clip_norm=0.05")
    for name, processes, size, count in (("whole", 1, 16, 1), ("parts", 2, 4, 2)):
        home, batches = str(tmp_path / name), f"accumulate={count}"
        trained(folder, processes, *start(name, size), batches, *options, FASHIONAI_HOME=home)
    assert 0 < difference(folder / "runs/whole", folder / "runs/parts") < 1e-5


def test_four_processes_train_what_one_does(folder: Path, one: Path) -> None:
    output = trained(folder, 4, *start("four", 4))
    assert difference(one, folder / "runs/four") < 1e-5
    assert (
        output.count("plain on PyTorch, 5 or 6 steps per epoch") == 1
    )  # the first process alone logs
    assert output.count("finished: best epoch") == 1


def test_scores_of_uneven_shares_are_those_of_one_process(folder: Path) -> None:
    """5 processes would have 2 or 3 of the 12 images; here 3 have 4, and weights do not move."""
    frozen = ("epochs=1", "optimizer.lr=1e-30", "optimizer.weight_decay=0", "ema=null")
    trained(folder, 1, *start("alone", 15), *frozen)
    trained(folder, 3, *start("shared", 5), *frozen)
    rows = []
    for name in ("alone", "shared"):
        with open(folder / f"runs/{name}/history.csv", newline="") as handle:
            (row,) = csv.DictReader(handle)
        rows.append({key: value for key, value in row.items() if key.startswith("val_")})
    assert rows[0] == rows[1]
    assert len(rows[0]) > 5


def test_synchronised_batch_normalisation_is_that_of_one_process(folder: Path) -> None:
    normalised = ("model.name=normalised", "epochs=1", "optimizer.lr=0.01")
    trained(folder, 1, *start("together", 16), *normalised)
    trained(folder, 2, *start("apart", 8), *normalised)
    trained(folder, 2, *start("synchronised", 8), *normalised, "sync_batch_norm=true")
    together = folder / "runs/together"
    assert difference(together, folder / "runs/synchronised") < 1e-4
    assert difference(together, folder / "runs/apart") > 1e-3


def other_data(folder: Path, tmp_path: Path) -> Path:
    """A prepared folder with the same images under other names."""
    other = tmp_path / "other"
    source = folder / "data/train_valid/skirt_length_labels"
    (other / "skirt_length_labels").mkdir(parents=True)
    for entry in source.iterdir():
        if entry.name != "manifest.csv":
            (other / "skirt_length_labels" / entry.name).symlink_to(entry)
    text = (source / "manifest.csv").read_text()
    (other / "skirt_length_labels/manifest.csv").write_text(text.replace("Images/", "Photos/"))
    return other


def test_a_process_with_other_data_is_named(folder: Path, tmp_path: Path) -> None:
    other = other_data(folder, tmp_path)
    process = job(folder, 2, *start("other", 8), RANK_ONE_ADDS=f"data.folder={other}")
    output, _ = process.communicate(timeout=PATIENCE)
    assert process.returncode != 0
    assert "rank 1 of 2" in output
    assert "the hash of the prepared folder is" in output
    assert not (folder / "runs/other/config.yaml").exists()


def test_a_process_with_another_network_is_named(folder: Path) -> None:
    """Before weights are exchanged, which do not fit each other."""
    process = job(folder, 2, *start("larger", 8), RANK_ONE_ADDS="model.name=normalised")
    output, _ = process.communicate(timeout=PATIENCE)
    assert process.returncode != 0
    (line,) = [line for line in output.splitlines() if line.startswith("Error:")]
    assert "rank 1 of 2" in line
    assert "model.name is normalised" in line


def test_processes_share_features(folder: Path, tmp_path: Path) -> None:
    """One process of a machine computes features, the others read them."""
    head, home = ("trainable=head", "optimizer.lr=0.5"), str(tmp_path / "home")
    trained(folder, 1, *start("alone-head", 16), *head, FASHIONAI_HOME=home)
    shutil.rmtree(home)
    output = trained(folder, 2, *start("shared-head", 8), *head, FASHIONAI_HOME=home)
    assert output.count("features of 84 images") == 1
    assert difference(folder / "runs/alone-head", folder / "runs/shared-head") < 1e-5
    # Two views of the training images, and one of each half of the validation images.
    assert len(list((tmp_path / "home/features").glob("*.npy"))) == 4


def test_a_refused_training_overwrites_nothing(folder: Path, two: Path, tmp_path: Path) -> None:
    run = shutil.copytree(two, folder / "runs/kept")
    arguments = (*start("kept", 8), "--overwrite")
    other = other_data(folder, tmp_path)
    output, _ = job(folder, 2, *arguments, RANK_ONE_ADDS=f"data.folder={other}").communicate(
        timeout=PATIENCE
    )
    assert "the hash of the prepared folder is" in output
    assert_same_end(run, two)


def test_a_restart_without_resume_is_refused(folder: Path, two: Path) -> None:
    """It would remove, or begin beside it, the run that is to go on."""
    arguments = (*start("two", 8), "--overwrite")
    process = job(folder, 1, *arguments, RANK="0", WORLD_SIZE="2", LOCAL_RANK="0", **RESTARTED)
    output, _ = process.communicate(timeout=PATIENCE)
    assert process.returncode == 2
    assert "Error: the launcher has started the training again" in output
    assert (two / "best.params").is_file()


def test_shares_of_batches_make_up_the_whole() -> None:
    rows = np.arange(24)
    draws = Draws(rows, rows * 0, rows * 0)
    shares = [Share(index, 3).of_draws(draws, 12).indices for index in range(3)]
    for batch in range(2):
        parts = [share[batch * 4 : batch * 4 + 4] for share in shares]
        assert np.concatenate(parts).tolist() == list(range(batch * 12, batch * 12 + 12))
    for count in (1, 3, 5, 40):
        parts = [rows[Share(index, count).of_rows(24)] for index in range(count)]
        assert np.concatenate(parts).tolist() == rows.tolist()
        assert max(map(len, parts)) - min(map(len, parts)) <= 1


OF_TORCHRUN = (
    *("RANK", "WORLD_SIZE", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT"),
    "LOCAL_WORLD_SIZE",
)
SLURM = {
    "SLURM_PROCID": "6",
    "SLURM_STEP_NUM_TASKS": "8",
    "SLURM_LOCALID": "2",
    "SLURM_STEP_NODELIST": "gpu[03-04]",
    "SLURM_JOB_ID": "123456",
    "SLURM_STEP_ID": "0",
}


def place_in(monkeypatch: pytest.MonkeyPatch, **environment: str) -> Place:
    for name in OF_TORCHRUN:
        monkeypatch.setenv(name, "")  # restored afterwards, also where SLURM's are translated
        monkeypatch.delenv(name)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    return current_place()


def test_places_of_torchrun_and_slurm(monkeypatch: pytest.MonkeyPatch) -> None:
    assert place_in(monkeypatch) == Place(0, 1, 0)
    given = {"RANK": "5", "WORLD_SIZE": "8", "LOCAL_RANK": "1"}
    assert place_in(monkeypatch, **given) == Place(5, 8, 1)
    assert place_in(monkeypatch, **SLURM) == Place(6, 8, 2)
    assert os.environ["MASTER_ADDR"] == "gpu03"
    assert place_in(monkeypatch, **{**SLURM, "SLURM_STEP_NUM_TASKS": "1"}) == Place(0, 1, 0)
    monkeypatch.delenv("SLURM_STEP_NUM_TASKS")
    script = {"SLURM_PROCID": "0", "SLURM_NTASKS": "8", "SLURM_JOB_ID": "123456"}
    assert place_in(monkeypatch, **script) == Place(0, 1, 0), "a batch script is one process"


def test_steps_of_a_slurm_job_have_ports_of_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    ports = []
    for step in range(3):
        place_in(monkeypatch, **{**SLURM, "SLURM_STEP_ID": str(step)})
        ports.append(int(os.environ["MASTER_PORT"]))
    assert len(set(ports)) == 3
    assert all(10_000 <= port < 30_000 for port in ports), "Linux gives higher ones to connections"


@pytest.mark.parametrize(
    ("cores", "node", "expected"), [(1, "0", 4), (1, "2", 3), (10_000, "0", 1)]
)
def test_slurm_tasks_that_are_not_bound_share_the_cores(
    monkeypatch: pytest.MonkeyPatch, cores: int, node: str, expected: int
) -> None:
    counts = {"SLURM_STEP_TASKS_PER_NODE": "4(x2),3", "SLURM_NODEID": node}
    place_in(monkeypatch, **SLURM, **counts, SLURM_CPUS_ON_NODE=str(cores))
    assert os.environ["LOCAL_WORLD_SIZE"] == str(expected)


@pytest.mark.parametrize(
    "environment",
    [{"RANK": "2", "WORLD_SIZE": "2", "LOCAL_RANK": "0"}, {"RANK": "", "WORLD_SIZE": "2"}],
)
def test_places_that_cannot_be(monkeypatch: pytest.MonkeyPatch, environment: dict) -> None:
    with pytest.raises(ConfigError, match="expected a rank below the number of processes"):
        place_in(monkeypatch, **environment)


@pytest.mark.parametrize(
    ("hosts", "first"),
    [
        ("gpu1", "gpu1"),
        ("gpu1,gpu2", "gpu1"),
        ("gpu[03-07,9],login", "gpu03"),
        ("rack1-n[1,4].lan,x", "rack1-n1.lan"),
        ("rack[1-2]node[03-05],x[1-2]", "rack1node03"),
        ("", "localhost"),
    ],
)
def test_first_machine_of_a_slurm_list(hosts: str, first: str) -> None:
    assert first_host(hosts) == first


@contextlib.contextmanager
def second_machine() -> Iterator[tuple[list[str], str, Sequence[str]]]:
    """What starts a program on another machine, this one's address there, and both interfaces.

    It is a network namespace where this machine allows to make one, else this machine.
    """
    name, pair = f"fashionai-{os.getpid()}", [f"fa{os.getpid() % 10000}{side}" for side in "ab"]
    setup = [
        ["ip", "netns", "add", name],
        ["ip", "link", "add", pair[0], "type", "veth", "peer", "name", pair[1], "netns", name],
        ["ip", "addr", "add", "10.231.7.1/30", "dev", pair[0]],
        ["ip", "link", "set", pair[0], "up"],
        ["ip", "-n", name, "addr", "add", "10.231.7.2/30", "dev", pair[1]],
        ["ip", "-n", name, "link", "set", pair[1], "up"],
        ["ip", "-n", name, "link", "set", "lo", "up"],
    ]
    try:
        made = all(subprocess.run(step, capture_output=True).returncode == 0 for step in setup)
    except FileNotFoundError:
        made = False
    try:
        if made:
            yield ["ip", "netns", "exec", name], "10.231.7.1", pair
        else:
            yield [], "127.0.0.1", ["lo", "lo"]
    finally:
        with contextlib.suppress(FileNotFoundError):
            subprocess.run(["ip", "netns", "delete", name], capture_output=True)
            subprocess.run(["ip", "link", "delete", pair[0]], capture_output=True)


def test_two_machines_with_a_copy_of_the_data_each(folder: Path, two: Path, tmp_path: Path) -> None:
    shutil.copytree(folder / "data", tmp_path / "data")
    shutil.copy(folder / "plain.yaml", tmp_path)
    with second_machine() as (prefix, address, interfaces):
        port = free_port()
        nodes = []
        for number, (place, starter) in enumerate(((folder, []), (tmp_path, prefix))):
            options = [
                *("--nnodes=2", "--nproc-per-node=1", f"--node-rank={number}"),
                *(f"--master-addr={address}", f"--master-port={port}"),
            ]
            path = f"{Path.cwd()}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"
            nodes.append(
                subprocess.Popen(
                    [
                        *(*starter, sys.executable, "-m", "torch.distributed.run", *options),
                        *("-m", "--", "tests.support.plain_training", "train"),
                        *("--device", "cpu", *start("machines", 8)),
                    ],
                    cwd=place,
                    env={
                        **os.environ,
                        **{"OMP_NUM_THREADS": "1", "PYTHONPATH": path},
                        "GLOO_SOCKET_IFNAME": interfaces[number],
                    },
                    stdout=subprocess.PIPE,
                    stderr=subprocess.STDOUT,
                    text=True,
                )
            )
        try:
            outputs = [node.communicate(timeout=PATIENCE)[0] for node in nodes]
        finally:
            for node in nodes:
                node.terminate()
    assert [node.returncode for node in nodes] == [0, 0], "\n".join(outputs)
    assert_same_end(folder / "runs/machines", two)
    assert not (tmp_path / "runs").exists()
