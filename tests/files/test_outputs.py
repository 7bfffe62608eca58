import json
import os
import re
from pathlib import Path

import cv2
import numpy as np
import pytest
from matplotlib.figure import Figure

from fashionai.errors import ConfigError, DataError, FashionAIError
from fashionai.files import outputs
from fashionai.files.formats.csv_files import write_rows
from fashionai.files.outputs import PICTURES, PNG_METADATA, check_output, csv_kind, json_kind
from fashionai.predictions.formats import PREDICTIONS, PredictedRow, formats
from fashionai.tasks import Task

TABLE = csv_kind("a table", ("a", "b"))
NUMBERS = json_kind("numbers", lambda value: isinstance(value, list))


@pytest.fixture(autouse=True)
def _in_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def refusal(path: Path, *arguments: object, **options: object) -> str:
    """The message of a refusal, which leaves everything as it was."""
    before = sorted(Path().rglob("*"))
    with pytest.raises(FashionAIError) as caught:
        check_output("--out", path, *arguments, **options)
    assert sorted(Path().rglob("*")) == before
    return str(caught.value)


def write(name: str, text: str) -> Path:
    Path(name).write_text(text)
    return Path(name)


@pytest.mark.parametrize("link", [os.link, os.symlink])
@pytest.mark.parametrize("overwrite", [False, True])
def test_an_input_is_refused_by_any_name(link: object, overwrite: bool) -> None:
    listed = write("list.csv", "a,b\n1,2\n")
    link("list.csv", "other.csv")
    message = refusal(Path("other.csv"), TABLE, [Path("x"), listed], overwrite)
    assert message == "--out other.csv: is list.csv, which this command reads. Name another"
    with pytest.raises(ConfigError, match=r"^--a and --b are the same file"):
        outputs.check_distinct({"--a": listed, "--b": Path("other.csv")})


def test_many_outputs_are_checked_with_one_look_at_each_input(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    inputs = [write(f"{number}.csv", "a,b\n") for number in range(100)]
    places = [Path(f"out-{number}.csv") for number in range(100)]
    for place in places:
        write(place.name, "a,b\n")
    seen: list[Path] = []
    look = Path.stat

    def note_and_look(path: Path, **options: bool) -> os.stat_result:
        seen.append(path)
        return look(path, **options)

    monkeypatch.setattr(Path, "stat", note_and_look)
    outputs.check_outputs("--out", places, TABLE, inputs)
    assert all(seen.count(path) == 1 for path in inputs)
    assert len(seen) < 10 * len(inputs)
    with pytest.raises(ConfigError, match=r"^--out 7\.csv: is 7\.csv, which this command reads"):
        outputs.check_outputs("--out", [*places, inputs[7]], TABLE, inputs)


def test_results_of_the_same_kind_and_empty_files_are_replaced() -> None:
    check_output("--out", write("own.csv", "a,b\n1,2\n"), TABLE)
    check_output("--out", write("empty.csv", ""), TABLE)
    check_output("--out", write("own.json", "[1]"), NUMBERS)
    check_output("--out", Path("new/folder/x.csv"), TABLE)
    assert not Path("new").exists()


@pytest.mark.parametrize("text", ["a,c\n1,2\n", "text", '{"a": 1}', "[" * 3000, "\0\udcff"])
@pytest.mark.parametrize("kind", [TABLE, NUMBERS, PICTURES, PREDICTIONS])
def test_other_files_are_replaced_with_overwrite_alone(kind: outputs.Kind, text: str) -> None:
    Path("x").write_bytes(text.encode("utf-8", "surrogateescape"))
    message = refusal(Path("x"), kind)
    assert message.startswith(f"--out x: exists and is not {kind.name} of fashionai. ")
    check_output("--out", Path("x"), kind, overwrite=True)


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "bmp", "tiff", "ppm"])
def test_an_image_is_never_replaced_by_a_table(suffix: str) -> None:
    pixels = np.zeros((16, 16, 3), np.uint8)
    Path("image").write_bytes(cv2.imencode(f".{suffix}", pixels)[1].tobytes())
    assert refusal(Path("image"), TABLE, overwrite=True).endswith(
        "is an image, so it is not overwritten"
    )


@pytest.mark.parametrize("name", ["x.png", "y/X.JPEG", ".tif"])
@pytest.mark.parametrize("kind", [TABLE, NUMBERS])
def test_other_results_are_not_named_like_images(name: str, kind: outputs.Kind) -> None:
    message = f"--out {name}: has the suffix of an image, expected another one for {kind.name}"
    assert refusal(Path(name), kind, overwrite=True) == f"{message}. Name another file"
    check_output("--out", Path(name), PICTURES)
    for other in ("x.csv", "x.txt", "x", "png", "x.png.csv"):
        check_output("--out", Path(other), kind)


@pytest.mark.parametrize(
    "start", [b"GIF89a", b"II+\0", b"8BPS", b"\0\0\0\x18ftypheis", b"\xff\x0a", b"P2\n1 1\n"]
)
def test_images_that_only_other_programs_read_are_not_replaced(start: bytes) -> None:
    Path("image").write_bytes(start)
    assert "is an image, so it is not overwritten" in refusal(Path("image"), TABLE, overwrite=True)


def test_own_pictures_are_known_by_their_mark() -> None:
    Figure().savefig("own.png", metadata=PNG_METADATA)
    Figure().savefig("other.png")
    check_output("--out", Path("own.png"), PICTURES)
    refusal(Path("other.png"), PICTURES)
    data = Path("own.png").read_bytes()
    for end in range(len(data[:200])):
        Path("cut.png").write_bytes(data[:end])
        PICTURES.is_own(Path("cut.png"))


def test_what_is_no_regular_file_is_refused() -> None:
    Path("folder").mkdir()
    os.mkfifo("pipe")
    assert refusal(Path("folder"), TABLE, overwrite=True).endswith(
        "is a folder, expected the name of a file"
    )
    assert refusal(Path("pipe"), TABLE, overwrite=True).endswith(
        "is not a regular file, so it is not replaced"
    )
    assert "not a regular file" in refusal(Path("/dev/null"), TABLE, overwrite=True)


def test_places_of_outputs_are_checked() -> None:
    write("file", "text")
    assert "file is not a folder" in refusal(Path("file/x.csv"), TABLE)
    assert "file is not a folder" in refusal(Path("file/deep/x.csv"), TABLE)
    Path("dangling").symlink_to("nowhere")
    assert "dangling is not a folder" in refusal(Path("dangling/x.csv"), TABLE)
    assert refusal(Path("n" * 300), TABLE).endswith("cannot be written: File name too long")
    assert refusal(Path("n" * 300 + "/x.csv"), TABLE).endswith("File name too long")
    assert "null" in refusal(Path("a\0b"), TABLE)
    assert "/proc" in refusal(Path("/proc/x.csv"), TABLE)
    with pytest.raises(DataError, match="is a file, expected a folder"):
        outputs.try_folder("--out", Path("file"))


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_without_write_access_is_refused() -> None:
    Path("locked").mkdir(mode=0o500)
    assert refusal(Path("locked/x.csv"), TABLE).endswith("cannot be written: Permission denied")


@pytest.mark.parametrize("name", [file_format.name for file_format in formats()])
def test_prediction_files_of_each_format_are_known_again(name: str) -> None:
    file_format = next(each for each in formats() if each.name == name)
    from fashionai.families import FAMILIES

    tasks = {family.format: family.tasks[0] for family in FAMILIES.values()}
    task = next(
        (task for module, task in tasks.items() if module and module.endswith(f".{name}")),
        Task("own", (), ("x", "y"), "own"),
    )
    classes = len(task.classes)
    rows = [PredictedRow("a.jpg", task, np.full(classes, 1 / classes))]
    file_format.write(Path("own.csv"), rows, None)
    check_output("--out", Path("own.csv"), PREDICTIONS)
    # An example with the header of the competition, or an answer file, is not ours.
    shorter = re.sub(r"(\.\d)\d{7}", r"\1", Path("own.csv").read_text())
    assert shorter != Path("own.csv").read_text()
    refusal(write("example.csv", shorter), PREDICTIONS)


def test_a_large_prediction_file_is_known_by_its_beginning() -> None:
    path = Path("large.csv")
    path.write_text("path,class,probability,a,b\nx.jpg,a,0.75000000,0.75000000,0.25000000\n")
    os.truncate(path, 2**34)
    outputs.check_output("--out", path, PREDICTIONS)


def test_label_and_question_files_are_no_prediction_files() -> None:
    refusal(write("label.csv", "Images/a.jpg,skirt_length_labels,nynnnn\n"), PREDICTIONS)
    refusal(write("question.csv", "Images/a.jpg,skirt_length_labels,\n"), PREDICTIONS)
    write_rows(Path("cactus.csv"), [("id", "has_cactus"), ("a.jpg", "1")])
    refusal(Path("cactus.csv"), PREDICTIONS)


def test_results_of_classify_and_evaluate_are_known_again() -> None:
    from fashionai.predictions.classify import (
        CSV_RESULTS,
        JSON_RESULTS,
        Classified,
        to_json,
        to_rows,
    )
    from fashionai.scoring.score_files import SCORES
    from fashionai.scoring.score_files import to_json as scores_to_json

    task = Task("own", (), ("x", "y"), "own")
    results = [Classified("a.jpg", {task: [("x", 0.75)]})]
    write_rows(Path("own.csv"), to_rows(results))
    check_output("--csv", Path("own.csv"), CSV_RESULTS)
    check_output("--json", write("own.json", json.dumps(to_json(results))), JSON_RESULTS)
    check_output("--json", write("scores.json", json.dumps(scores_to_json([]))), SCORES)
    refusal(Path("scores.json"), JSON_RESULTS)
    refusal(Path("own.json"), SCORES)
