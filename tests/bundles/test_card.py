"""The model card: data, scores, what was chosen, and licences."""

from __future__ import annotations

import html
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from fashionai.bundles.archive import unpack
from fashionai.bundles.card import model_card, samples_by_split
from fashionai.frameworks.mxnet import import_mxnet
from fashionai.predictions.scaling import read_calibration
from fashionai.runs import Run, RunFolder
from fashionai.scoring.splits import evaluate_run
from tests.support.calibrations import write_calibration

mx = import_mxnet()


def test_the_model_card_states_the_data_the_scores_and_the_licence(run: Run, bundle: Path) -> None:
    card = unpack(bundle)["model_card.md"].decode()
    for name in run.tasks[0].classes:
        assert f"| {name} | 14 | 2 |" in card
    (scored,) = evaluate_run(run, "val", [mx.cpu()], resamples=1000, crops=1, engine="gluon")
    low, high = scored.intervals["map"]
    ends = f"{scored.scores['map']:.4f} | {low:.4f} | {high:.4f}"
    assert f"| skirt_length_labels | val | 12 | mAP | {ends} |" in card
    assert "trained from random ones" in card
    assert run.check_weights() in card
    assert "has changed" not in card


def test_the_model_card_counts_pseudo_labels_apart(
    run: Run, trained: Path, trained_cnn: Path, tmp_path: Path
) -> None:
    folder = shutil.copytree(trained / "data/train_valid", tmp_path / "train_valid")
    (manifest,) = folder.glob("*/manifest.csv")
    header, *rows = manifest.read_text().splitlines()
    of_first = [row for row in rows if row.startswith("train,0,")][:5]
    marked = [f"{row},{0.9 if row in of_first else ''}" for row in rows]
    manifest.write_text("\n".join([f"{header},pseudo_label", *marked, ""]))
    other = Run.open(trained_cnn)
    other.__dict__["config"] = run.config.changed({"data.folder": str(folder)})
    card = model_card(other, samples_by_split(other), {}, 0, None)
    first, second, *_ = run.tasks[0].classes
    assert "| class | train | pseudo-labels | val |" in card
    assert f"| {first} | 9 | 5 | 2 |" in card
    assert f"| {second} | 14 | 0 | 2 |" in card
    assert "| all | 79 | 5 | 12 |" in card
    assert "The prepared folder has changed since the training" in card


@pytest.mark.parametrize(
    "name",
    ["<b>x", "a*b*", "_cat_", "no_cat", "`x`", "[a](b)", "~~x~~", "&lt;", "A & B", "a|b", "\\<"],
)
def test_the_model_card_shows_names_of_classes_as_they_are(run: Run, name: str) -> None:
    """As a program shows it that knows Markdown as GitHub does."""
    markdown = pytest.importorskip("markdown_it").MarkdownIt("gfm-like", {"linkify": False})
    other = Run.open(run.path)
    (task,) = run.tasks
    classes = (name, *task.classes[1:])
    other.__dict__.update(config=run.config, tasks=[replace(task, classes=classes)])
    shown = markdown.render(model_card(other, samples_by_split(run), {}, 0, None))
    assert f"<td>{html.escape(name)}</td>" in shown


def test_the_model_card_tells_what_was_chosen_and_promises_only_what_many_images_show(
    run: Run, tmp_path: Path
) -> None:
    """Of the last epoch, or an average of such runs, nothing was chosen on the split val."""
    one = Run.open(shutil.copytree(run.path, tmp_path / "one"))
    write_calibration(one, images=100)
    samples = samples_by_split(run)
    card = model_card(one, samples, {}, 0, read_calibration(one, crops=1))
    assert "The weights were chosen on the split val" in card
    assert "error is 0.0321. Of images like these, about 9 of 10" in card
    one.folder.log_file.write_text("12:00 pretrained weights: a file of weights\n")
    last = {**one.metrics, "monitor": "last"}
    soup = {"method": "uniform", "runs": {str(one): {"taken": True}}}
    average = Run(RunFolder(shutil.copytree(run.path, tmp_path / "average")))
    average.folder.log_file.unlink()
    for each, metrics in ((one, last), (average, {**last, "soup": soup})):
        each.__dict__["config"] = run.config.changed({"model.pretrained": True})
        each.__dict__["metrics"] = metrics
        card = model_card(each, samples, {}, 0, None)
        assert "nothing was chosen on the split val" in card
        assert "trained further from a file of weights." in card
