"""classify: files, folders and URLs through one run or several."""

from __future__ import annotations

import csv
import json
import os
import shutil
from pathlib import Path

import pytest

from fashionai.errors import RunError
from fashionai.families import find_task
from fashionai.frameworks.mxnet import import_mxnet
from fashionai.predictions.classify import choose_runs
from fashionai.predictions.formats import read_predictions
from fashionai.predictions.run_choice import Candidates
from fashionai.runs import Run, RunFolder
from fashionai.tasks import Task, tasks_to_json
from tests.support.commands import fashionai
from tests.support.image_server import ImageServer, content, redirect, status
from tests.support.trained_runs import replace_weights

mx = import_mxnet()

SKIRT = find_task("skirt")
QUESTIONS = Path("data/rank/Images/skirt_length_labels")


@pytest.fixture(scope="module")
def folder(trained: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The trained folder's images and run, and other runs made from that one."""
    folder = tmp_path_factory.mktemp("classify")
    shutil.copytree(trained / "data/rank", folder / "data/rank")
    shutil.copytree(trained / "runs/skirt", folder / "runs/skirt")
    other = folder / "other/skirt"
    shutil.copytree(trained / "runs/skirt", other)
    weights = mx.nd.load(str(other / "best.params"))
    weights = {n: v if n.startswith("features") else -0.5 * v for n, v in weights.items()}
    replace_weights(other, weights)
    pant = folder / "runs/pant"
    shutil.copytree(trained / "runs/skirt", pant)
    for name in ("config.yaml", "metrics.json"):
        (pant / name).write_text((pant / name).read_text().replace("skirt", "pant"))
    (pant / "classes.json").write_text(json.dumps(tasks_to_json([find_task("pant")])))
    return folder


@pytest.fixture(autouse=True)
def inside(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)


def answers(*arguments: object, run: str = "runs/skirt") -> dict[str, dict[str, float]]:
    """The probabilities of each image by class, as JSON gives them for one task."""
    options = ["--run", run, "--top", "6", "--json", "answers.json"]
    assert fashionai("classify", *options, *arguments) == 0
    found = json.loads(Path("answers.json").read_text())
    for image in found:
        values = [entry["probability"] for entry in image["tasks"]["skirt_length_labels"]]
        assert values == sorted(values, reverse=True)
    return {
        image["image"]: {
            entry["class"]: entry["probability"] for entry in image["tasks"]["skirt_length_labels"]
        }
        for image in found
    }


def some_images(count: int) -> list[Path]:
    return sorted(QUESTIONS.iterdir())[:count]


def test_a_folder_is_classified_as_predict_does() -> None:
    options = ["--run", "runs/skirt", "--out", "asked.csv"]
    assert fashionai("predict", *options) == 0
    command = ["classify", "--run", "runs/skirt", "--top", "2", "--csv", "top.csv"]
    assert fashionai(*command, QUESTIONS.parent) == 0
    expected = [["image", "task", "rank", "class", "probability"]]
    for row in sorted(read_predictions(Path("asked.csv")), key=lambda row: row.image):
        ranked = sorted(zip(row.probabilities, SKIRT.classes), reverse=True)
        for rank, (value, name) in enumerate(ranked[:2], start=1):
            image = f"data/rank/{row.image}"
            expected.append([image, SKIRT.name, str(rank), name, f"{value:.8f}"])
    with open("top.csv", newline="") as handle:
        found = list(csv.reader(handle))
    assert found[0] == expected[0]
    assert [row[:3] for row in found] == [row[:3] for row in expected]
    for ours, theirs in zip(found[1:], expected[1:]):
        assert len(ours[4].partition(".")[2]) == 8
        # Of batches of another size, in which classes of next to no probability change places.
        assert float(ours[4]) == pytest.approx(float(theirs[4]), abs=1e-5)
        assert ours[3] == theirs[3] or float(theirs[4]) < 1e-4


def test_runs_of_one_task_are_averaged() -> None:
    image = some_images(1)[0]
    one, other = (answers(image, run=run)[str(image)] for run in ("runs/skirt", "other/skirt"))
    assert max(abs(one[name] - other[name]) for name in one) > 0.01
    both = answers("--run", "other/skirt", image)[str(image)]
    assert both == pytest.approx({name: (one[name] + other[name]) / 2 for name in one}, abs=2e-8)


def test_every_image_has_a_line_for_each_task(capsys: pytest.CaptureFixture[str]) -> None:
    """Without --run: each task by its run."""
    images = some_images(2)
    assert fashionai("classify", *images) == 0
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 80
    assert lines[:2] == ["pant_length_labels: runs/pant", "skirt_length_labels: runs/skirt"]
    assert [line for line in lines if line.startswith("data/")] == [str(path) for path in images]
    for image in images:
        at = lines.index(str(image))
        told = " ".join(lines[at + 1 : at + 5])
        ranked = list(answers(image)[str(image)].items())
        assert f"skirt  {ranked[0][0]} {100 * ranked[0][1]:.1f} %, {ranked[1][0]} " in told
        assert "pant   " in told


def test_one_task_has_a_line_for_each_class(capsys: pytest.CaptureFixture[str]) -> None:
    image = some_images(1)[0]
    expected = list(answers(image)[str(image)].items())[:3]
    capsys.readouterr()
    assert fashionai("classify", "--run", "runs/skirt", "--top", "3", image) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[1] == str(image)
    assert [line.split()[:-1] for line in lines[2:]] == [
        [name, f"{100 * value:.1f}"] for name, value in expected
    ]


def test_json_is_alone_on_standard_output(capsys: pytest.CaptureFixture[str]) -> None:
    image = some_images(1)[0]
    assert fashionai("classify", "--json", "-", "--top", "1", "--crops", "1", image) == 0
    captured = capsys.readouterr()
    (result,) = json.loads(captured.out)
    assert result["image"] == str(image)
    assert {name: len(found) for name, found in result["tasks"].items()} == {
        "skirt_length_labels": 1,
        "pant_length_labels": 1,
    }
    assert captured.err == ""


def test_csv_is_alone_on_standard_output(capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ("classify", "--top", "1", "--crops", "1", some_images(1)[0])
    assert fashionai(*arguments, "--csv", "classes.csv", "--json", "-") == 0
    capsys.readouterr()
    assert fashionai(*arguments, "--csv", "-") == 0
    captured = capsys.readouterr()
    assert captured.out == Path("classes.csv").read_text()
    assert captured.err == ""
    assert not Path("-").exists()


def test_files_of_a_folder_that_are_no_images_are_named_as_predict_names_them(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for image in some_images(2):
        shutil.copy(image, tmp_path)
    (tmp_path / "notes.txt").write_text("of no interest")
    line = f"{tmp_path}: 1 file skipped because it is not an image: notes.txt"
    run = ("--run", "runs/skirt", "--crops", "1")
    assert fashionai("predict", *run, "--questions", tmp_path, "--out", "named.csv") == 0
    assert capsys.readouterr().err.splitlines().count(line) == 1
    assert fashionai("classify", *run, tmp_path) == 0
    assert capsys.readouterr().err.splitlines().count(line) == 1
    for option in ("--csv", "--json"):
        assert fashionai("classify", *run, option, "-", tmp_path) == 0
        captured = capsys.readouterr()
        assert captured.err.splitlines() == [line]
        assert line not in captured.out


def test_a_url_is_classified_as_its_file(server: ImageServer) -> None:
    image = some_images(1)[0]
    server.pages["/a.jpg"] = content(image.read_bytes())
    server.pages["/b"] = redirect("/a.jpg")
    urls = [f"{server.url}/b", f"{server.url}/a.jpg"]
    found = answers("--allow-private", urls[0], image, urls[1])
    assert list(found) == [urls[0], str(image), urls[1]]
    for url in urls:
        assert found[url] == pytest.approx(found[str(image)], abs=1e-6)


@pytest.mark.parametrize(
    ("path", "options", "reason"),
    [
        ("/a.jpg", [], "the address 127.0.0.1 is not public"),
        ("/gone", ["--allow-private"], "HTTP 404"),
        ("/page", ["--allow-private"], "cannot be used: not an image"),
        ("/half", ["--allow-private"], "cannot be used: truncated: image data are missing"),
    ],
)
def test_a_url_without_a_sound_image_is_refused(
    path: str,
    options: list[str],
    reason: str,
    server: ImageServer,
    capsys: pytest.CaptureFixture[str],
) -> None:
    data = some_images(1)[0].read_bytes()
    server.pages = {
        "/a.jpg": content(data),
        "/gone": status(404),
        "/page": content(b"<html></html>"),
        "/half": content(data[: len(data) // 2]),
    }
    assert fashionai("classify", *options, server.url + path) == 2
    assert capsys.readouterr().err == f"Error: {server.url}{path}: {reason}\n"


@pytest.mark.parametrize("option", ["--csv", "--json"])
def test_a_name_that_no_result_can_hold_is_refused_before_anything_is_computed(
    option: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    name = os.fsdecode(b"\xb9\xb7.jpg")
    shutil.copy(some_images(1)[0], tmp_path / name)
    given = ("--run", "runs/skirt", option, tmp_path / "out", tmp_path / name)
    assert fashionai("classify", *given) == 2
    error = capsys.readouterr().err
    assert error == rf"Error: the name of {tmp_path}/\xb9\xb7.jpg is not UTF-8 text. Rename it" "\n"


def test_images_that_cannot_be_used_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    image = some_images(1)[0].resolve()
    (tmp_path / "empty").mkdir()
    (tmp_path / "notes.txt").write_text("no image")
    shutil.copy(image, tmp_path / "a.jpg")
    (tmp_path / "mixed").mkdir()
    for name in ("b.jpg", "c.jpg"):
        (tmp_path / "mixed" / name).write_bytes(image.read_bytes()[:-200])
    shutil.copy(image, tmp_path / "mixed/a.jpg")
    for arguments, message in (
        (["b.jpg"], "b.jpg: no such file. Did you mean 'a.jpg'?"),
        (["none/b.jpg"], "none/b.jpg: no such file"),
        (["notes.txt"], "notes.txt: cannot be used: not an image"),
        (["empty"], "empty: no images found"),
        (
            ["mixed"],
            "2 of 3 images cannot be used\n  mixed/b.jpg: cannot be used: truncated: image data "
            "are missing\n  mixed/c.jpg: cannot be used: truncated: image data are missing. Give "
            "--skip-bad to go on without them",
        ),
        (["a.jpg", "mixed/../a.jpg"], "mixed/../a.jpg: is given twice, also as a.jpg"),
        (["mixed", "mixed/a.jpg"], "mixed/a.jpg: is given twice"),
        (["http://x.example/a", "http://x.example/a"], "http://x.example/a: is given twice"),
        (["a.jpg", "b.jpg", "http://127.0.0.1/a"], "b.jpg: no such file. Did you mean 'a.jpg'?"),
    ):
        with pytest.MonkeyPatch.context() as patch:
            run = Path("runs/skirt").resolve()
            patch.chdir(tmp_path)
            assert fashionai("classify", "--run", run, "--json", "a.json", *arguments) == 2
            assert capsys.readouterr().err == f"Error: {message}\n"
            assert not Path("a.json").exists()


def test_one_name_for_different_classes_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """By classify and by predict, where the runs are named and where they are not."""
    images, runs = QUESTIONS.absolute(), []
    for name, classes in (("a", ("owl", "tit")), ("b", ("owl", "robin"))):
        run = Run(RunFolder(Path(shutil.copytree("runs/skirt", tmp_path / "runs" / name))))
        task = Task("birds", (), classes, "table")
        run.folder.classes_file.write_text(json.dumps(tasks_to_json([task])))
        runs.append(run)
    assert list(choose_runs(Candidates(runs[:1], named=True)).values()) == [runs[:1]]
    with pytest.raises(RunError, match="birds: the runs were trained with different classes"):
        choose_runs(Candidates(runs, named=True))
    monkeypatch.chdir(tmp_path)
    for arguments in (["--task", "birds"], ["--run", "runs/a", "--run", "runs/b"]):
        assert fashionai("predict", "--out", "p.csv", "--questions", images, *arguments) == 2
        assert capsys.readouterr().err == (
            "Error: birds: the runs were trained with different classes. Name one --run\n"
        )


def test_bad_images_are_left_out_and_listed(
    server: ImageServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sound, bad = some_images(1)[0], tmp_path / "bad.jpg"
    bad.write_bytes(sound.read_bytes()[:-200])
    server.pages = {"/gone": status(404), "/page": content(b"<html></html>")}
    urls = [f"{server.url}/{name}" for name in ("gone", "page")]
    options = ["--run", "runs/skirt", "--json", "-", "--allow-private"]
    assert fashionai("classify", *options, "--skip-bad", sound, bad, *urls) == 0
    printed = capsys.readouterr()
    assert [each["image"] for each in json.loads(printed.out)] == [str(sound)]
    lines = printed.err.splitlines()
    assert lines[0].startswith(f"left out: {bad}: truncated")
    assert lines[1].startswith(f"left out: {urls[0]}: ")
    assert "404" in lines[1]
    assert lines[2] == f"left out: {urls[1]}: not an image"
    assert fashionai("classify", *options, "--skip-bad", bad) == 2
    assert capsys.readouterr().err.endswith("Error: no image is left to classify\n")
