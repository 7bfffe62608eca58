"""The registry of tasks, compared with the competition's own numbers."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fashionai.errors import ConfigError, DataError
from fashionai.families import FASHION_MNIST, FASHIONAI_TASKS, expand_tasks, find_task, known_tasks
from fashionai.files import write_json
from fashionai.tasks import (
    Task,
    columns_of,
    folder_safe,
    task_from_json,
    task_to_json,
    tasks_from_json,
    tasks_to_json,
)

# Letters of the labels of the competition, from DATASETS.md: Invisible and the classes after it.
CLASS_COUNTS = {
    "skirt": ("skirt_length_labels", 6),
    "coat": ("coat_length_labels", 8),
    "collar": ("collar_design_labels", 5),
    "lapel": ("lapel_design_labels", 5),
    "neck": ("neck_design_labels", 5),
    "neckline": ("neckline_design_labels", 10),
    "pant": ("pant_length_labels", 6),
    "sleeve": ("sleeve_length_labels", 9),
}


def test_the_eight_attributes_have_the_competitions_classes() -> None:
    found = {task.short_name: (task.name, len(task.classes)) for task in FASHIONAI_TASKS}
    assert found == CLASS_COUNTS
    assert all(task.classes[0] == "Invisible" for task in FASHIONAI_TASKS)
    assert find_task("skirt").classes[1:] == ("Short", "Knee", "Midi", "Ankle", "Floor")
    assert find_task("pant").classes[3] == "3/4"
    assert find_task("sleeve").classes[5] == "3/4"


def test_fashion_mnist_has_its_ten_classes() -> None:
    assert len(FASHION_MNIST.classes) == 10
    assert FASHION_MNIST.classes[0] == "T-shirt/top"
    assert FASHION_MNIST.classes[9] == "Ankle boot"
    assert FASHION_MNIST.short_name == "fashion-mnist"


def test_names_and_aliases_are_unique_and_none_is_all() -> None:
    names = [name for task in known_tasks() for name in (task.name, *task.aliases)]
    assert len(names) == len(set(names))
    assert "all" not in names


def test_every_task_is_found_by_its_name_and_its_aliases() -> None:
    for task in known_tasks():
        for name in (task.name, *task.aliases):
            assert find_task(name) is task


@pytest.mark.parametrize("count", [2, 5, 10, 11, 33, 100, 101])
def test_folder_names_sort_in_class_order(count: int) -> None:
    # Names that sort the other way round, so that only the index can put them right.
    classes = tuple(f"{chr(ord('z') - index % 26)}{count - index}" for index in range(count))
    folders = Task("t", (), classes, "table").folder_names
    assert sorted(folders) == list(folders)
    assert len(set(folders)) == count
    assert [int(name.split("_")[0]) for name in folders] == list(range(count))


def test_indices_are_padded_only_where_there_are_more_than_ten() -> None:
    assert Task("t", (), ("a",) * 10, "table").folder_names[9] == "9_a"
    assert Task("t", (), ("a",) * 11, "table").folder_names[9] == "09_a"


def test_registered_tasks_have_folders_that_any_file_system_takes() -> None:
    for task in known_tasks():
        for name in task.folder_names:
            assert not set(name) & set('/\\ :*?"<>|'), name
    assert find_task("pant").folder_names[3] == "3_3-4"
    assert find_task("coat").folder_names[7] == "7_Ankle-&-Floor"


@given(st.text(max_size=30))
def test_a_folder_safe_name_has_no_separator_space_or_control_character(name: str) -> None:
    safe = folder_safe(name)
    assert not set(safe) & set('/\\ :*?"<>|\0\n\r\t')
    assert folder_safe(safe) == safe


@pytest.mark.parametrize(
    ("wrong", "nearest"),
    [("skrt", "skirt"), ("Skirt", "skirt"), ("skirt_lenght_labels", "skirt_length_labels")],
)
def test_an_unknown_task_names_the_nearest(wrong: str, nearest: str) -> None:
    with pytest.raises(ConfigError) as caught:
        find_task(wrong)
    assert str(caught.value) == f"unknown task '{wrong}'. Did you mean '{nearest}'?"


def test_a_task_like_no_other_lists_the_choices() -> None:
    with pytest.raises(ConfigError) as caught:
        find_task("xyz")
    for alias in CLASS_COUNTS:
        assert alias in str(caught.value)


def test_all_is_the_eight_attributes_and_names_count_once() -> None:
    assert expand_tasks(["all"]) == list(FASHIONAI_TASKS)
    chosen = expand_tasks(["pant", "all", "pant_length_labels", "fashion-mnist"])
    assert [task.short_name for task in chosen[:2]] == ["pant", "skirt"]
    assert len(chosen) == 9


@pytest.mark.parametrize("task", known_tasks(), ids=lambda task: task.name)
def test_a_task_survives_json(task: Task, tmp_path: Path) -> None:
    write_json(tmp_path / "task.json", task_to_json(task))
    assert task_from_json(tmp_path / "task.json") == task


@pytest.mark.parametrize("text", ["", "{", "[]", "3", '{"task": "a"}', '{"task": 1, "aliases": 2}'])
def test_other_json_is_an_error_that_names_the_file(text: str, tmp_path: Path) -> None:
    path = tmp_path / "task.json"
    path.write_text(text)
    with pytest.raises(DataError, match=r"task\.json: does not describe a task"):
        task_from_json(path)


def test_columns_lie_side_by_side_in_the_order_of_the_tasks() -> None:
    tasks = expand_tasks(["pant", "collar", "neckline"])
    assert columns_of(tasks) == [slice(0, 6), slice(6, 11), slice(11, 21)]


def test_several_tasks_survive_json_in_their_order(tmp_path: Path) -> None:
    path = tmp_path / "classes.json"
    tasks = expand_tasks(["pant", "all", "fashion-mnist"])
    write_json(path, tasks_to_json(tasks))
    assert tasks_from_json(path) == tasks


@pytest.mark.parametrize(
    ("text", "problem"),
    [('{"tasks": []}', "describes no task"), ('{"task": "a"}', "does not describe a task")],
)
def test_a_list_of_no_tasks_is_an_error_that_names_the_file(tmp_path, text, problem) -> None:
    path = tmp_path / "classes.json"
    path.write_text(text)
    with pytest.raises(DataError, match=rf"classes\.json: {problem}"):
        tasks_from_json(path)
