"""The predictions of a report are those of the wanted tasks."""

from __future__ import annotations

from pathlib import Path

import pytest

from fashionai.errors import DataError
from fashionai.files import write_json
from fashionai.reporting.report.results import AUTO, Source, collect_results
from fashionai.tasks import Task, tasks_to_json
from tests.support.report_pages import make_subject


def test_the_threshold_of_one_task_of_several_is_chosen_on_its_images(tmp_path: Path) -> None:
    tasks = [Task(name, (), ("a", "b"), "table") for name in ("one", "two")]
    subject = make_subject(tmp_path / "run", tasks[0])
    write_json(tmp_path / "run/classes.json", tasks_to_json(tasks))
    with pytest.raises(DataError, match="nowhere/two"):
        collect_results([subject], Source(threshold=AUTO), ["two"], [])
