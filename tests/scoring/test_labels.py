"""Labels from files and prepared folders, and what evaluate makes of them."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import sklearn.metrics

from fashionai.errors import FashionAIError
from fashionai.families import find_task
from fashionai.metrics import MAYBE, NO, YES
from fashionai.predictions.formats import PredictedRow, write_predictions
from fashionai.scoring.evaluate import evaluate_file
from fashionai.scoring.rows.labels import LabelFiles, labels_of, read_labels
from fashionai.tasks import Task
from tests.support.prepared_data import write_prepared

SKIRT, PANT = find_task("skirt"), find_task("pant")
PETS = Task("pets", (), ("cat", "dog", "cow"), "own")


@pytest.fixture
def pets(tmp_path: Path) -> Path:
    splits = ["train"] * 5 + ["val"] * 4
    rows = [(split, f"zoo/{i}.jpg", i % 3, PETS.classes[i % 3]) for i, split in enumerate(splits)]
    return write_prepared(tmp_path / "prepared/pets", PETS, rows)


@pytest.fixture
def skirts(tmp_path: Path) -> Path:
    rows = [
        ("train", "base/Images/s/a.jpg", 1, "nymnnn"),
        ("train", "web/Images/s/b.jpg", 0, "ynnnnn"),
        ("val", "base/Images/s/c.jpg", 5, "nnnnmy"),
    ]
    return write_prepared(tmp_path / "prepared/skirt_length_labels", SKIRT, rows)


def predict(path: Path, task: Task, images: Sequence[str], seed: int = 0) -> np.ndarray:
    values = np.random.default_rng(seed).dirichlet(np.ones(len(task.classes)), len(images))
    write_predictions(path, [PredictedRow(*row) for row in zip(images, [task] * 99, values)])
    return values


def test_a_label_file_gives_marks_by_image_and_task(tmp_path: Path) -> None:
    file = tmp_path / "label.csv"
    file.write_text(
        "Images/a.jpg,skirt_length_labels,nymnnn\nImages/a.jpg,pant_length_labels,ynnnnn\n"
    )
    labels = read_labels(LabelFiles([file]))
    assert list(labels) == [
        ("Images/a.jpg", "skirt_length_labels"),
        ("Images/a.jpg", "pant_length_labels"),
    ]
    assert labels["Images/a.jpg", SKIRT.name].marks.tolist() == [NO, YES, MAYBE, NO, NO, NO]
    assert labels["Images/a.jpg", PANT.name].marks.tolist() == [YES, NO, NO, NO, NO, NO]


def test_a_prepared_folder_is_known_by_itself_its_manifest_and_its_parent(
    skirts: Path, pets: Path
) -> None:
    labels = read_labels(LabelFiles([skirts]))
    assert {image: row.split for (image, _), row in labels.items()} == {
        "Images/s/a.jpg": "train",
        "Images/s/b.jpg": "train",
        "Images/s/c.jpg": "val",
    }
    maybe = [NO, NO, NO, NO, MAYBE, YES]
    assert labels["Images/s/c.jpg", SKIRT.name].marks.tolist() == maybe
    assert read_labels(LabelFiles([skirts / "manifest.csv"])).keys() == labels.keys()
    both = read_labels(LabelFiles([skirts.parent]))
    assert both.keys() == labels.keys() | read_labels(LabelFiles([pets])).keys()
    assert both.keys() == read_labels(LabelFiles([skirts, pets])).keys()
    # Tables do not name their task.
    assert both["zoo/2.jpg", ""].marks.tolist() == [NO, NO, YES]


def test_labels_that_contradict_each_other_are_refused(skirts: Path, tmp_path: Path) -> None:
    file = tmp_path / "label.csv"
    file.write_text("Images/s/a.jpg,skirt_length_labels,nymnnn\n")
    assert len(read_labels(LabelFiles([skirts, file]))) == 3
    file.write_text("Images/s/a.jpg,skirt_length_labels,nynnnn\n")
    with pytest.raises(FashionAIError, match=r"label\.csv:1: Images/s/a\.jpg has another label"):
        read_labels(LabelFiles([skirts, file]))


def test_folders_that_are_not_prepared_or_were_edited_are_refused(
    skirts: Path, tmp_path: Path
) -> None:
    with pytest.raises(FashionAIError, match="not a prepared folder"):
        read_labels(LabelFiles([skirts / "val"]))
    with pytest.raises(FashionAIError, match="none: no such file"):
        read_labels(LabelFiles([tmp_path / "prepared/none/manifest.csv"]))
    next((skirts / "val").rglob("*.jpg")).unlink()
    with pytest.raises(FashionAIError, match=r"c\.jpg is missing"):
        read_labels(LabelFiles([skirts]))


def test_rows_without_a_label_are_known_and_other_classes_refused(pets: Path) -> None:
    labels = read_labels(LabelFiles([pets]))
    found = labels_of(
        Task("", (), PETS.classes, "table"), ["x", "zoo/1.jpg"], labels, ("p.csv", "pets")
    )
    assert found.task == PETS
    assert found.known.tolist() == [False, True]
    assert found.marks.tolist() == [[NO, NO, NO], [NO, YES, NO]]
    swapped = Task("", (), ("dog", "cat", "cow"), "table")
    with pytest.raises(FashionAIError, match="class 0 is dog, not cat"):
        labels_of(swapped, ["zoo/1.jpg"], labels, ("p.csv", "pets"))


def test_a_table_is_scored_with_a_prepared_folder(pets: Path, tmp_path: Path) -> None:
    """The truth is read from the manifest, the scores are scikit-learn's."""
    with open(pets / "manifest.csv", newline="") as handle:
        truth = {
            row["source"]: int(row["class_index"])
            for row in csv.DictReader(handle)
            if row["split"] == "val"
        }
    images = sorted(truth, reverse=True)
    values = predict(tmp_path / "p.csv", PETS, images)
    for labels in (pets, pets.parent, pets / "manifest.csv"):
        (evaluation,) = evaluate_file(tmp_path / "p.csv", [labels])
        assert evaluation.task == PETS
        assert evaluation.rows == 4
        true = [truth[image] for image in images]
        answers = values.argmax(axis=1)
        assert evaluation.scores["accuracy"] == sklearn.metrics.accuracy_score(true, answers)
        assert evaluation.scores["log_loss"] == pytest.approx(
            sklearn.metrics.log_loss(true, values, labels=[0, 1, 2]), abs=1e-4
        )
        expected = sklearn.metrics.confusion_matrix(true, answers, labels=[0, 1, 2])
        np.testing.assert_array_equal(evaluation.confusion, expected)


@pytest.mark.parametrize(
    ("numbers", "message"),
    [
        ([5, 6, 7], r"p\.csv has no prediction for 1 row of .*pets: zoo/8\.jpg$"),
        ([5, 6, 7, 8, 9], r"pets has no label for 1 row of .*p\.csv: zoo/9\.jpg$"),
        ([5, 6, 7, 8, 0], r"p\.csv has no prediction for 4 rows of .*pets: zoo/1\.jpg, "),
        ([77], r"pets has no label for 1 row of .*p\.csv: zoo/77\.jpg$"),
    ],
)
def test_a_split_is_scored_as_a_whole(
    pets: Path, tmp_path: Path, numbers: list[int], message: str
) -> None:
    predict(tmp_path / "p.csv", PETS, [f"zoo/{number}.jpg" for number in numbers])
    with pytest.raises(FashionAIError, match=message):
        evaluate_file(tmp_path / "p.csv", [pets])


def test_tasks_that_the_predictions_lack_are_named(skirts: Path, tmp_path: Path) -> None:
    """Those of a label file; of prepared folders only the predicted tasks are scored."""
    rows = [("train", "base/Images/s/a.jpg", 1, "nynnnn")]
    pants = write_prepared(tmp_path / f"prepared/{PANT.name}", PANT, rows)
    (tmp_path / "pants.csv").write_text(f"Images/s/a.jpg,{PANT.name},nynnnn\n")
    predict(tmp_path / "p.csv", SKIRT, ["Images/s/c.jpg"])
    files = [skirts, tmp_path / "pants.csv"]
    with pytest.raises(FashionAIError, match=r"has no rows of pant_.*, which .* Give --task skirt"):
        evaluate_file(tmp_path / "p.csv", files)
    for labels, names in ((files, ["skirt"]), ([skirts, pants], []), ([skirts.parent], [])):
        (evaluation,) = evaluate_file(tmp_path / "p.csv", labels, task_names=names)
        assert (evaluation.name, evaluation.rows) == (SKIRT.name, 1)


@pytest.mark.parametrize("kind", ["table", "cactus", "skirt"])
def test_other_data_sets_beside_the_labels_do_not_matter(
    skirts: Path, pets: Path, tmp_path: Path, kind: str
) -> None:
    """Their images may have the same names, here of every file and of pets."""
    folder = skirts.parent
    zoo = [("val", f"zoo/{number}.jpg", number % 2, "") for number in range(9)]
    write_prepared(folder / "others", Task("others", (), ("big", "small"), "own"), zoo)
    covers = [("val", f"{name}/5.jpg", at, "") for at, name in enumerate(("negative", "positive"))]
    write_prepared(folder / "covers", find_task("covers"), covers)
    cacti = [("val", "train/5.jpg", 1, "1"), ("val", "train/6.jpg", 0, "0")]
    write_prepared(folder / "cactus", find_task("cactus"), cacti)
    task, images = {
        "table": (PETS, [f"zoo/{number}.jpg" for number in range(5, 9)]),
        "cactus": (find_task("cactus"), ["5.jpg", "6.jpg"]),
        "skirt": (SKIRT, ["Images/s/c.jpg"]),
    }[kind]
    predict(tmp_path / "p.csv", task, images)
    (evaluation,) = evaluate_file(tmp_path / "p.csv", [folder])
    assert evaluation.task == task
    assert evaluation.rows == len(images)


def test_a_table_of_other_classes_than_the_folder_is_refused(pets: Path, tmp_path: Path) -> None:
    other = Task("pets", (), ("cat", "dog", "pig"), "own")
    predict(tmp_path / "p.csv", other, [f"zoo/{number}.jpg" for number in range(5, 9)])
    with pytest.raises(FashionAIError, match="class 2 is pig, not cow"):
        evaluate_file(tmp_path / "p.csv", [pets])


def test_accented_letters_are_the_same_however_files_spell_them(tmp_path: Path) -> None:
    """A walk through a folder may give decomposed names, a table composed ones."""
    predict(tmp_path / "p.csv", PETS, ["cafe\u0301.jpg", "b.jpg"])
    (tmp_path / "l.csv").write_text("path,label\ncaf\u00e9.jpg,cat\nb.jpg,dog\n", encoding="utf-8")
    (tmp_path / "q.csv").write_text("path\ncaf\u00e9.jpg\nb.jpg\n", encoding="utf-8")
    for questions in (None, tmp_path / "q.csv"):
        (pets,) = evaluate_file(tmp_path / "p.csv", [tmp_path / "l.csv"], questions)
        assert pets.rows == 2


def test_a_table_without_a_task_is_scored_by_the_name_of_its_file(tmp_path: Path) -> None:
    predictions, truth = tmp_path / "birds.csv", tmp_path / "truth.csv"
    predictions.write_text("path,class,probability,cat,dog\na.jpg,cat,0.9,0.9,0.1\n")
    truth.write_text("path,label\na.jpg,cat\n")
    for names in ((), ("birds",)):
        (scored,) = evaluate_file(predictions, [truth], task_names=names)
        assert scored.name == "birds"
    message = (
        r"--task bird: neither .*birds\.csv nor .*truth\.csv names its task\. .*leave --task out"
    )
    with pytest.raises(FashionAIError, match=message):
        evaluate_file(predictions, [truth], task_names=["bird"])


def test_labels_of_the_same_file_names_in_other_folders_are_told(
    pets: Path, tmp_path: Path
) -> None:
    predict(tmp_path / "p.csv", PETS, [f"{number}.jpg" for number in range(5, 9)])
    message = (
        r"p\.csv has the images of .*l\.csv in another folder: 5\.jpg, not dogs/5\.jpg\. "
        r"Predict again with --questions FOLDER"
    )
    labels = tmp_path / "l.csv"
    labels.write_text("path,label\ncats/7.jpg,cat\ndogs/5.jpg,dog\n")
    with pytest.raises(FashionAIError, match=message):
        evaluate_file(tmp_path / "p.csv", [labels])
    with pytest.raises(FashionAIError, match=r"5\.jpg, not zoo/5\.jpg"):
        evaluate_file(tmp_path / "p.csv", [pets])
    # Other images may happen to have the same numbers.
    labels.write_text("path,label\ncats/7.jpg,cat\ndogs/5.jpg,dog\nb.jpg,cow\n")
    with pytest.raises(FashionAIError, match="has no prediction for 3 rows"):
        evaluate_file(tmp_path / "p.csv", [labels])


def test_intervals_do_not_depend_on_the_name_of_the_task(tmp_path: Path) -> None:
    """Tasks of the same labels that have other classes are resampled independently."""
    images = [f"zoo/{number}.jpg" for number in range(9)]
    values = np.random.default_rng(0).dirichlet(np.ones(3), 9)
    (tmp_path / "labels.csv").write_text(
        "\n".join(["path,label", *(f"{image},{at % 3}" for at, image in enumerate(images))])
    )

    def accuracies(name: str, classes: tuple[str, ...]) -> list[float]:
        task, file = Task(name, (), classes, "own"), tmp_path / f"{name}.csv"
        write_predictions(file, [PredictedRow(*row) for row in zip(images, [task] * 9, values)])
        (found,) = evaluate_file(file, [tmp_path / "labels.csv"], resamples=50)
        assert found.name == name
        return list(found.resampled["accuracy"])

    assert accuracies("a", ("x", "y", "z")) == accuracies("b", ("x", "y", "z"))
    assert accuracies("a", ("x", "y", "z")) != accuracies("a", ("u", "v", "w"))
