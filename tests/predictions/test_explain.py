"""fashionai explain: which classes it shows, what it writes, what it refuses."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from fashionai.frameworks.mxnet import import_mxnet
from fashionai.models.zoo import build_network
from fashionai.predictions.explain import explain
from fashionai.predictions.predict import predict_images
from fashionai.runs import Run
from fashionai.scoring.labelled_images import known_classes
from fashionai.scoring.rows.labels import LabelFiles
from tests.support.commands import fashionai
from tests.support.made_runs import write_run
from tests.support.trained_runs import images_to_predict

mx = import_mxnet()

TASK = "skirt_length_labels"


@pytest.fixture(scope="module")
def folder(trained_cnn: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A user's folder with data/ and runs/skirt."""
    work = tmp_path_factory.mktemp("explained")
    shutil.copytree(trained_cnn.parents[1] / "data", work / "data")
    shutil.copytree(trained_cnn, work / "runs/skirt")
    return work


@pytest.fixture
def run(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.chdir(folder)
    return Run.open("runs/skirt")


def test_the_top_classes_and_the_true_one_are_explained(run: Run) -> None:
    images = images_to_predict(Path())[:3]
    (task,) = run.tasks
    predicted = predict_images(images, [run], [mx.cpu()], crops=1, engine="gluon")[task]
    order = np.argsort(-predicted, axis=1)
    # The true class is the last one, the first one and unknown.
    truths = [{task: int(order[0, -1])}, {task: int(order[1, 0])}, {}]
    found = list(explain(run, images, top=2, true_classes=truths))
    shown = [[(each.class_index, each.is_true) for each in one.classes] for one in found]
    assert shown == [
        [(order[0, 0], False), (order[0, 1], False), (order[0, -1], True)],
        [(order[1, 0], True), (order[1, 1], False)],
        [(order[2, 0], False), (order[2, 1], False)],
    ]
    for row, one in enumerate(found):
        assert one.image.shape == (32, 32, 3)
        for each in one.classes:
            assert each.probability == pytest.approx(predicted[row, each.class_index], abs=1e-5)
            assert each.heat.shape == (32, 32)
            assert 0 <= each.heat.min() <= each.heat.max() <= 1


def test_pictures_are_written_with_labels_of_the_prepared_folder(
    run: Run, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    own = sorted(Path(f"data/train_valid/{TASK}/val").glob("*/*.jpg"))[:2]
    # The same file elsewhere, and one that no label is known of.
    (tmp_path / "linked").mkdir()
    linked = tmp_path / "linked" / own[0].name
    os.link(own[0], linked)
    other = images_to_predict(Path())[0]
    out = tmp_path / "why"
    command = ["explain", "--run", "runs/skirt", "--out", out, "--top", 1]
    assert fashionai(*command, *own, linked, other) == 0
    stem = own[0].stem
    names = [f"{stem}.png", f"{own[1].stem}.png", f"{stem}-2.png", f"{other.stem}.png"]
    assert sorted(path.name for path in out.iterdir()) == sorted(names)
    assert f"{out}: 4 pictures, such as {stem}.png" in capsys.readouterr().out
    first, second = (np.array(Image.open(out / names[number])) for number in (0, 2))
    assert (first == second).all()
    # Again over its own pictures, but not over those of others.
    assert fashionai(*command, other) == 0
    cv2.imwrite(str(out / names[3]), np.zeros((9, 9, 3), np.uint8))
    content = (out / names[3]).read_bytes()
    assert fashionai(*command, other) == 2
    assert "exists and is not a picture of fashionai" in capsys.readouterr().err
    assert (out / names[3]).read_bytes() == content


def test_a_prepared_link_to_a_missing_image_stops_no_other(run: Run, tmp_path: Path) -> None:
    (task,) = run.tasks
    missing, own, *_ = sorted(Path(f"data/train_valid/{TASK}/train").glob("*/*.jpg"))
    moved = missing.rename(tmp_path / "moved.jpg")
    missing.symlink_to(tmp_path / "nothing.jpg")
    try:
        assert known_classes(run, [own], LabelFiles([])) == [{task: 0}]
    finally:
        moved.replace(missing)


def test_labels_may_be_given(run: Run, tmp_path: Path) -> None:
    (task,) = run.tasks
    images = images_to_predict(Path())[:2]
    labels = tmp_path / "labels.csv"
    labels.write_text(f"path,label\n{images[0].name},{task.classes[3]}\n")
    files = LabelFiles([labels], images=images[0].parent)
    assert known_classes(run, images, files) == [{task: 3}, {}]
    own = sorted(Path(f"data/train_valid/{TASK}/train").glob("*/*.jpg"))[0]
    assert known_classes(run, [own, images[0]], LabelFiles([])) == [{task: 0}, {}]


def test_transformers_are_refused_in_one_line(
    run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made = write_run(tmp_path / "vit", "vit_tiny", 32, ["a", "b"])
    build_network("vit_tiny", 2, 32).save_parameters(str(made / "best.params"))
    image, out = images_to_predict(Path())[0], tmp_path / "why"
    assert fashionai("explain", "--run", made, image, "--out", out) == 2
    assert "Error: vit_tiny: has attention between patches" in capsys.readouterr().err
    assert not out.exists()
    assert fashionai("explain", "--run", "runs/skirt", "no.jpg", "--out", out) == 2
    assert "no.jpg: no such file" in capsys.readouterr().err
