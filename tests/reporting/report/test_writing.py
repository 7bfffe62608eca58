"""What the page is made of: names are text, and nothing of it comes from elsewhere."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from fashionai.metrics import overall_scores
from fashionai.reporting.report.writing import overall
from fashionai.scoring.bootstrap import mean_intervals
from fashionai.tasks import Task
from tests.support.report_pages import make_results, write_page

HOSTILE = """</script><script>alert(1)</script>"'&\u2028\u202eשלום"""
LOADING = {"src", "href", "action", "data", "poster", "srcset"}


class _Page(HTMLParser):
    """The elements of a page and the addresses that their attributes name."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.elements: list[str] = []
        self.addresses: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, object]]) -> None:
        self.elements.append(tag)
        self.addresses += [str(value) for name, value in attrs if name in LOADING]


def page_of(folder: Path, mark: str) -> str:
    """A report in which the names of task, classes and images contain a text."""
    classes = tuple(f"{mark} {index}" for index in range(4))
    images = [f"{mark} {row}.jpg" for row in range(60)]
    results = make_results(folder, Task(mark, (), classes, "table"), 60, [0.7, 0.5], images)
    return write_page(folder / "report.html", results).read_bytes().decode()


def test_names_are_text(tmp_path: Path) -> None:
    hostile, plain = page_of(tmp_path / "a", HOSTILE), page_of(tmp_path / "b", "x")
    assert _Page(hostile).elements == _Page(plain).elements


def test_nothing_is_loaded(tmp_path: Path) -> None:
    page = page_of(tmp_path, "x")
    assert all(re.match("#|data:", address) for address in _Page(page).addresses)
    assert "url(" not in page
    assert "import" not in page.replace("important", "")


def test_names_that_are_no_utf_8_keep_their_bytes(tmp_path: Path) -> None:
    images = [f"\udcb9 {row}.jpg" for row in range(20)]
    results = make_results(tmp_path, Task("one", (), ("a", "b"), "table"), 20, [0.7], images)
    page = write_page(tmp_path / "report.html", results).read_bytes().decode()
    (data,) = json.loads(re.search('id="data">(.*?)</script>', page)[1])
    assert sorted(data["name"]) == sorted(images)


def test_differences_without_a_value_are_a_dash(tmp_path: Path) -> None:
    """One image is of one class, which has no ROC AUC."""
    results = make_results(tmp_path, Task("one", (), ("a", "b"), "table"), 1, [0.7, 0.5])
    assert "nan</td>" not in write_page(tmp_path / "report.html", results).read_text()


def test_differences_and_the_ends_of_their_intervals_have_signs(tmp_path: Path) -> None:
    results = make_results(tmp_path, Task("one", (), ("a", "b"), "table"), 40, [0.6, 0.9])
    page = write_page(tmp_path / "report.html", results).read_text()
    table = page.partition("<caption>Differences of the scores</caption>")[2].partition("</table>")[
        0
    ]
    cells = re.findall(r"<td[^>]*>([^<]*[0-9][^<]*)</td>", table)
    numbers = [number for cell in cells for number in cell.split(" to ")]
    assert len(numbers) == 3 * table.count('<th scope="row">') > 0
    assert all(re.fullmatch(r"[+-][0-9]+\.[0-9]{4}", number) for number in numbers)


@pytest.mark.parametrize(("runs", "means"), [(1, [""]), (2, ["run-0", "run-1"])])
def test_means_over_tasks(tmp_path: Path, runs: int, means: list[str]) -> None:
    tasks = [
        make_results(tmp_path / name, Task(name, (), ("a", "b"), "table"), 40, [0.6, 0.9][:runs])
        for name in ("one", "two")
    ]
    # The runs of both tasks are the same ones.
    shared = [each.subject for each in tasks[0].results]
    tasks[1] = tasks[1]._replace(
        results=[each._replace(subject=own) for each, own in zip(tasks[1].results, shared)]
    )
    lines = overall(tasks)
    assert [Path(line.run).name for line in lines[2 * runs :]] == means
    for number, line in enumerate(lines[2 * runs :]):
        found = [task.results[number].evaluation for task in tasks]
        assert line.scores == overall_scores([each.scores for each in found])
        assert line.intervals == mean_intervals([each.resampled for each in found])
        assert line.rows == 80
