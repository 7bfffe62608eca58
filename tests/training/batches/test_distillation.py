"""Targets from prediction files: joined by image and task, softened and mixed by formulas."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from fashionai.config.sections import DataConfig
from fashionai.datasets.prepared.samples import Samples
from fashionai.errors import DataError, RunError
from fashionai.training.batches.distillation import read_teacher
from fashionai.training.records.checkpoint import Progress, load_state, save_state
from tests.support.learners import make_batch, make_config, make_samples, open_one
from tests.support.prepared_data import ONE, make_rows

ROWS = 10


def samples_of_set() -> Samples:
    """Samples as a manifest has them: sources begin with the folder of the set."""
    samples = make_samples(ROWS)
    return samples._replace(sources=[f"base/{source}" for source in samples.sources])


def distributions(samples: Samples) -> list[np.ndarray]:
    """A random distribution over the classes of each sample's task, of eight decimals."""
    rng = np.random.default_rng(4)
    counts = [len(samples.tasks[head].classes) for head in samples.heads]
    return [rng.dirichlet(np.ones(count)).round(8) for count in counts]


def write_file(path: Path, samples: Samples, rows: list[int]) -> list[np.ndarray]:
    """A FashionAI prediction file of some samples in a random order, and of another image."""
    found = distributions(samples)
    lines = [
        f"{samples.paths[row]},{samples.tasks[samples.heads[row]].name},"
        + ";".join(f"{value:.8f}" for value in found[row])
        for row in rows
    ]
    task = samples.tasks[0]
    lines.append(f"other.jpg,{task.name}," + ";".join(["1"] + ["0"] * (len(task.classes) - 1)))
    path.write_text("\n".join(np.random.default_rng(0).permutation(lines)) + "\n")
    return found


@pytest.mark.parametrize("temperature", [1.0, 2.0, 0.5])
def test_rows_are_joined_by_image_and_task(tmp_path: Path, temperature: float) -> None:
    samples, file = samples_of_set(), tmp_path / "teacher.csv"
    rows = write_file(file, samples, list(range(ROWS)))
    data = DataConfig(soft_targets=str(file), soft_temperature=temperature)
    teacher = read_teacher(data, samples)
    assert teacher is not None
    starts = np.cumsum([0, *(len(task.classes) for task in samples.tasks)])
    for row, head in enumerate(samples.heads):
        softened = [value ** (1 / temperature) for value in rows[row]]
        expected = np.zeros(starts[-1])
        expected[starts[head] : starts[head + 1]] = np.array(softened) / sum(softened)
        np.testing.assert_allclose(teacher[row], expected, atol=1e-7)
    assert read_teacher(DataConfig(), samples) is None


@pytest.mark.parametrize("temperature", [1e-3, 1e-320])
def test_low_temperatures_leave_the_most_probable_classes(
    tmp_path: Path, temperature: float
) -> None:
    """0.2 ** 1000 is less than the smallest number; equal probabilities stay equal."""
    samples, file = make_rows([0, 2, 1], [ONE]), tmp_path / "teacher.csv"
    file.write_text(
        "path,class,probability,a,b,c\n0,a,0.4,0.4,0.3,0.3\n1,b,0.4,0.2,0.4,0.4\n2,c,1,0,0,1\n"
    )
    data = DataConfig(soft_targets=str(file), soft_temperature=temperature)
    teacher = read_teacher(data, samples)
    np.testing.assert_allclose(teacher, [[1, 0, 0], [0, 0.5, 0.5], [0, 0, 1]], atol=1e-12)


def test_tables_of_one_task(tmp_path: Path) -> None:
    samples, file = make_rows([0, 2, 1], [ONE]), tmp_path / "teacher.csv"
    file.write_text(
        "path,class,probability,a,b,c\n2,b,1,0,1,0\n0,a,0.5,0.5,0.25,0.25\n1,c,1,0,0,1\n"
    )
    teacher = read_teacher(DataConfig(soft_targets=str(file)), samples)
    np.testing.assert_allclose(teacher, [[0.5, 0.25, 0.25], [0, 0, 1], [0, 1, 0]])
    file.write_text(file.read_text().replace("a,b,c", "a,b,d").replace("1,c,1", "1,d,1"))
    with pytest.raises(DataError, match="has the classes a, b, d, one has a, b, c"):
        read_teacher(DataConfig(soft_targets=str(file)), samples)


def test_a_pseudo_label_needs_no_row(tmp_path: Path) -> None:
    """The class takes its place, whatever the temperature; a row that is there counts."""
    samples, file = make_rows([0, 2, 1, 1], [ONE])._replace(pseudo=[1, 2]), tmp_path / "teacher.csv"
    file.write_text("path,class,probability,a,b,c\n0,a,1,1,0,0\n2,a,0.5,0.5,0.5,0\n3,b,1,0,1,0\n")
    data = DataConfig(soft_targets=str(file), soft_temperature=2.0)
    teacher = read_teacher(data, samples)
    np.testing.assert_allclose(teacher, [[1, 0, 0], [0, 0, 1], [0.5, 0.5, 0], [0, 1, 0]])
    with pytest.raises(DataError, match="no row for 1 training image of one: 1"):
        read_teacher(data, samples._replace(pseudo=[2]))


def test_missing_rows_and_files_are_errors(tmp_path: Path) -> None:
    samples, file = samples_of_set(), tmp_path / "teacher.csv"
    write_file(file, samples, [0, 1, 3, 5, 7, 9])
    message = r"has no row for 4 training images of skirt_length_labels: 2.jpg, 4.jpg, 6.jpg and 1"
    config = make_config(tmp_path, f"data.soft_targets={file}")
    with pytest.raises(DataError, match=message):
        open_one(config, samples, "gluon")
    with pytest.raises(DataError, match=r"no\.csv"):
        open_one(config.changed({"data.soft_targets": "no.csv"}), samples, "gluon")


def test_targets_are_mixed_with_those_of_the_labels(tmp_path: Path) -> None:
    samples, file = samples_of_set(), tmp_path / "teacher.csv"
    write_file(file, samples, list(range(ROWS)))
    plain = make_config(tmp_path, "loss.label_smoothing=0.1")
    mixed = plain.changed({"data.soft_targets": str(file), "data.soft_share": 0.3})
    batch = make_batch(0, samples, 8)
    own, taught = (
        next(open_one(config, samples, "gluon").passes(batch, 0, 0)[0]).targets
        for config in (plain, mixed)
    )
    teacher = read_teacher(mixed.data, samples)
    assert teacher is not None
    np.testing.assert_allclose(taught, 0.7 * own + 0.3 * teacher[batch.rows], atol=1e-6)
    assert taught.dtype == np.float32


def test_a_run_resumes_with_the_same_file_alone(tmp_path: Path) -> None:
    samples, file = samples_of_set(), tmp_path / "teacher.csv"
    write_file(file, samples, list(range(ROWS)))
    config = make_config(tmp_path, f"data.soft_targets={file}")
    learner = open_one(config, samples, "gluon")
    key, state = {**learner.resume_key(), "data": "0"}, tmp_path / "states.npz"
    save_state(state, learner, Progress(resume_key=key))
    again = open_one(config, samples, "gluon")
    load_state(state, again, {**again.resume_key(), "data": "0"})
    text = file.read_text()
    lines = [line for line in text.splitlines() if not line.startswith("0.jpg")]
    own = next(line for line in text.splitlines() if line.startswith("0.jpg"))
    image, task, numbers = own.split(",")
    lines.append(f"{image},{task},{';'.join(reversed(numbers.split(';')))}")
    file.write_text("\n".join(lines))
    other = open_one(config, samples, "gluon")
    with pytest.raises(RunError, match=r"the file of data\.soft_targets has changed"):
        load_state(state, other, {**other.resume_key(), "data": "0"})
