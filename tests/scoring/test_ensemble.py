"""Averaging prediction files, against dictionaries and exhaustive searches."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import sklearn.metrics
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from fashionai.cli.scoring.ensemble import command
from fashionai.errors import FashionAIError
from fashionai.families import find_task
from fashionai.metrics import LOWER_IS_BETTER, SCORE_NAMES, YES, marks_from_classes
from fashionai.predictions.formats import PredictedRow, read_predictions, write_predictions
from fashionai.scoring.ensemble import (
    SCORES,
    average_files,
    normalize_weights,
    search_weights,
)
from fashionai.scoring.evaluate import evaluate_file
from fashionai.scoring.rows.joining import JoinedTask, join_files
from fashionai.scoring.rows.labels import LabelFiles, LabelledRow, Labels, read_labels
from fashionai.scoring.score_files import to_json
from fashionai.tasks import Task

SKIRT, PANT = find_task("skirt"), find_task("pant")
Written = dict[tuple[str, str], list[float]]


def write_files(folder: Path, files: int, seed: int = 0) -> list[Written]:
    """Predictions of the same 24 rows in other orders, and answers.csv; returns what they hold."""
    rng = np.random.default_rng(seed)
    keys = [(f"Images/{i}.jpg", task) for i in range(12) for task in (SKIRT, PANT)]
    truth = rng.integers(6, size=len(keys))
    with open(folder / "answers.csv", "w") as handle:
        for (image, task), true in zip(keys, truth):
            label = "".join("y" if index == true else "n" for index in range(6))
            handle.write(f"{image},{task.name},{label}\n")
    written = []
    for number in range(files):
        values = rng.dirichlet(np.ones(6), len(keys))
        values[np.arange(len(keys)), truth] += rng.random(len(keys)) * (number + 1) / 4
        values /= values.sum(axis=1, keepdims=True)
        order = rng.permutation(len(keys))
        rows = [PredictedRow(*keys[at], values[at]) for at in order]
        write_predictions(folder / f"{number}.csv", rows)
        written.append({(row.image, row.task.name): row.probabilities.tolist() for row in rows})
    return written


@pytest.mark.parametrize("weights", [[], [0.2, 0.5, 0.3], [2, 0, 6]])
def test_the_mean_is_that_of_the_rows_by_name_in_the_first_files_order(
    tmp_path: Path, weights: list[float]
) -> None:
    written = write_files(tmp_path, 3)
    joined = join_files([tmp_path / f"{number}.csv" for number in range(3)])
    rows = average_files(joined, normalize_weights(weights, 3))
    assert [row.key for row in rows] == list(written[0])
    for row in rows:
        parts = [
            weight * np.array(file[row.key]) for weight, file in zip(weights or [1] * 3, written)
        ]
        expected = sum(parts) / sum(weights or [1] * 3)
        np.testing.assert_allclose(row.probabilities, expected, atol=2e-8)


def test_the_order_of_the_rows_of_a_file_changes_nothing(tmp_path: Path) -> None:
    write_files(tmp_path, 2)
    files = [tmp_path / "0.csv", tmp_path / "1.csv"]
    write_predictions(tmp_path / "one.csv", average_files(join_files(files), [0.5, 0.5]))
    rows = read_predictions(files[1])
    write_predictions(files[1], rows[::-1])
    write_predictions(tmp_path / "two.csv", average_files(join_files(files), [0.5, 0.5]))
    assert (tmp_path / "one.csv").read_bytes() == (tmp_path / "two.csv").read_bytes()


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ([1], "found 1 .1., expected 2, one for each file"),
        ([1, 2, 3], r"found 3 \(1,2,3\), expected 2"),
        ([1, -0.5], "found 1,-0.5, expected numbers from 0 up, not all 0"),
        ([0, 0], "not all 0"),
        ([math.inf, 1], "found inf,1"),
        ([math.nan, 1], "found nan,1"),
        ([1, math.nan], "found 1,nan"),
    ],
)
def test_weights_that_are_none_are_refused(weights: list[float], message: str) -> None:
    with pytest.raises(FashionAIError, match=message):
        normalize_weights(weights, 2)


@given(st.lists(st.floats(0, 1e6), min_size=1, max_size=6).filter(lambda w: sum(w) > 1e-3))
def test_weights_keep_their_proportions_and_sum_to_1(weights: list[float]) -> None:
    found = normalize_weights(weights, len(weights))
    assert sum(found) == pytest.approx(1)
    for (a, b), (c, d) in zip(itertools.combinations(weights, 2), itertools.combinations(found, 2)):
        assert a * d == pytest.approx(b * c)


Case = tuple[list[JoinedTask], Labels]


def make_case(seed: int, files: int, rows: int = 40, tasks: int = 2) -> Case:
    """Files that are right about different rows, of tasks with 2, 3 ... classes."""
    rng = np.random.default_rng(seed)
    joined, labels, start = [], {}, 0
    for classes in range(2, 2 + tasks):
        task = Task(f"task{classes}", (), tuple("abcdef"[:classes]), "fashionai")
        truth = rng.integers(classes, size=rows)
        values = rng.gamma(0.5, size=(files, rows, classes)) + 1e-3
        for file in range(files):
            helped = rng.random(rows) < 0.4 + 0.1 * file
            values[file, helped, truth[helped]] += rng.random(int(helped.sum())) * 2
        values /= values.sum(axis=2, keepdims=True)
        images = [f"{index}.jpg" for index in range(rows)]
        joined.append(JoinedTask(task, list(range(start, start + rows)), images, values))
        start += rows
        for image, marks in zip(images, marks_from_classes(truth, classes)):
            labels[image, task.name] = LabelledRow(image, task, marks, "", "")
    return joined, labels


def naive_score(case: Case, weights: Sequence[float], by: str) -> float:
    """Mean over tasks, row by row; accuracy and log loss are scikit-learn's."""
    joined, labels = case
    scores = []
    for part in joined:
        means, truth = [], []
        for row, image in enumerate(part.images):
            rows = [weight * file[row] for weight, file in zip(weights, part.probabilities)]
            means.append(sum(rows) / sum(weights))
            truth.append(labels[image, part.task.name].marks.tolist().index(YES))
        means = np.array(means)
        classes = range(means.shape[1])
        if by == "accuracy":
            scores.append(sklearn.metrics.accuracy_score(truth, means.argmax(axis=1)))
        elif by == "log_loss":
            scores.append(sklearn.metrics.log_loss(truth, means, labels=classes))
        else:
            assert by == "map"
            confidence = means.max(axis=1)
            right = means.argmax(axis=1) == truth
            levels = [right[confidence >= level].mean() for level in confidence]
            scores.append(np.mean(levels))
    return float(np.mean(scores))


@pytest.mark.parametrize("by", ["map", "accuracy", "log_loss"])
@pytest.mark.parametrize("seed", range(4))
def test_the_search_returns_true_scores_and_is_never_worse_than_a_file_or_their_mean(
    by: str, seed: int
) -> None:
    case = make_case(seed, files=4)
    found = search_weights(*case, ("p", "l"), by)
    sign = -1 if by in LOWER_IS_BETTER else 1
    chosen = naive_score(case, found.weights, by)
    assert found.chosen[by] == pytest.approx(chosen, abs=1e-6)
    assert found.equal[by] == pytest.approx(naive_score(case, [1] * 4, by), abs=1e-6)
    for index, scores in enumerate(found.files):
        alone = naive_score(case, np.eye(4)[index], by)
        assert scores[by] == pytest.approx(alone, abs=1e-6)
        assert sign * chosen >= sign * alone - 1e-9
    assert sign * chosen >= sign * found.equal[by] - 1e-9


@pytest.mark.parametrize("seed", range(3))
def test_weights_of_two_files_come_close_to_the_best_of_all_weights(seed: int) -> None:
    """Log loss is convex in the weights: the greedy way ends within a step of the best."""
    case = make_case(seed, files=2)
    found = search_weights(*case, ("p", "l"), "log_loss")
    best = min(naive_score(case, [step, 200 - step], "log_loss") for step in range(0, 201, 4))
    assert naive_score(case, found.weights, "log_loss") <= best + 5e-4


def test_files_that_are_equally_good_have_equal_weights() -> None:
    joined, labels = make_case(0, files=1)
    same = [part._replace(probabilities=np.repeat(part.probabilities, 3, 0)) for part in joined]
    assert search_weights(same, labels, ("p", "l")).weights == [1, 1, 1]


def test_labels_on_which_the_score_has_no_value_choose_nothing() -> None:
    joined, labels = make_case(0, files=2, rows=5, tasks=1)
    alike = {key: row._replace(marks=np.array([YES, 0])) for key, row in labels.items()}
    with pytest.raises(FashionAIError, match=r"^l: ROC AUC has no value on these labels"):
        search_weights(joined, alike, ("p", "l"), "roc_auc")


def test_the_best_mean_of_all_steps_is_chosen_not_the_last() -> None:
    """Both rows are right at weights 2:1 within 0.1 %, which 50 steps miss and 3 hit."""
    task = Task("t", (), ("x", "y"), "fashionai")
    of_true_class = np.array([[0.7, 0.2505], [0.101, 1.0]])
    values = np.stack([of_true_class, 1 - of_true_class], axis=2)
    marks = marks_from_classes(np.zeros(2, int), 2)
    labels = {(name, "t"): LabelledRow(name, task, marks[0], "", "") for name in "ab"}
    found = search_weights(
        [JoinedTask(task, [0, 1], ["a", "b"], values)], labels, ("p", "l"), "accuracy"
    )
    assert found.weights == [2, 1]
    assert found.chosen["accuracy"] == 1
    assert found.equal["accuracy"] == found.files[0]["accuracy"] == 0.5


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 10**6))
def test_the_search_is_deterministic_and_weights_are_in_lowest_terms(seed: int) -> None:
    case = make_case(seed, files=3, rows=8, tasks=1)
    one, two = (search_weights(*case, ("p", "l"), "mrr") for _ in range(2))
    assert repr(one) == repr(two)  # equal, and scores that are not a number as well
    assert math.gcd(*one.weights) == 1
    assert 0 < sum(one.weights) <= 50


def test_rows_without_a_label_are_counted() -> None:
    joined, labels = make_case(0, files=2, rows=5, tasks=1)
    some = {key: row for key, row in labels.items() if key[0] not in ("1.jpg", "3.jpg")}
    with pytest.raises(
        FashionAIError,
        match=r"^l has no label for 2 rows of p: 1\.jpg \(task2\), 3\.jpg \(task2\)$",
    ):
        search_weights(joined, some, ("p", "l"))


def test_labels_may_hold_more_rows_and_the_file_has_the_scores_of_the_search(
    tmp_path: Path,
) -> None:
    write_files(tmp_path, 3, seed=5)
    more = tmp_path / "more.csv"
    extra = "Images/other.jpg,skirt_length_labels,ynnnnn\n"
    more.write_text(extra + (tmp_path / "answers.csv").read_text())
    joined = join_files([tmp_path / f"{number}.csv" for number in range(3)])
    found = search_weights(joined, read_labels(LabelFiles([more])), ("p", "l"))
    assert found.rows == 24
    rows = average_files(joined, normalize_weights(found.weights, 3))
    write_predictions(tmp_path / "mean.csv", rows)
    scores = to_json(evaluate_file(tmp_path / "mean.csv", [tmp_path / "answers.csv"]))
    assert {name: scores[name] for name in SCORE_NAMES} == pytest.approx(found.chosen, abs=1e-9)


def test_every_score_can_be_searched_by() -> None:
    choices = next(option for option in command.params if option.name == "by").type.choices
    assert list(choices) == list(SCORES)
    assert set(SCORES) == set(SCORE_NAMES)


def test_the_printed_weights_give_the_same_file_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_files(tmp_path, 3, seed=2)
    monkeypatch.chdir(tmp_path)
    files = ["0.csv", "1.csv", "2.csv"]
    search = ["--search", "--labels", "answers.csv", "--out", "searched.csv"]
    done = CliRunner().invoke(command, [*files, *search], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    assert all(len(line) <= 80 for line in done.output.splitlines())
    line = next(line for line in done.output.splitlines() if line.startswith("--weights "))
    again = CliRunner().invoke(
        command, [*files, *line.split(), "--out", "again.csv"], catch_exceptions=False
    )
    assert again.exit_code == 0, again.output
    assert Path("searched.csv").read_bytes() == Path("again.csv").read_bytes()
