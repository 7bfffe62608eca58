#!/usr/bin/env python
"""Makes the pictures of the documentation from the drawn data set: docs/images/*.png.

usage: OMP_NUM_THREADS=1 python scripts/make_pictures.py [--work DIR]

preview.png: augmented training images. confusion.png: predictions of the test images by a network
that configs/demo.yaml trains from random weights. report.png: a part of its report, in Debian's
chromium. It takes two minutes on one CPU core. Data and run stay in DIR (build/pictures), where a
second call finds them.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure
from PIL import Image

import fashionai

ROOT = Path(__file__).resolve().parent.parent
IMAGES = ROOT / "docs/images"
CONFIG = ROOT / "configs/demo.yaml"
ANSWERS = "fashionAI_attributes_answer_a_20180428.csv"
WIDTH = 800
TASK = "skirt_length_labels"


def main() -> None:
    """Draw the data set, train, and write both pictures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--work", type=Path, default=ROOT / "build/pictures")
    work = parser.parse_args().work.resolve()
    IMAGES.mkdir(parents=True, exist_ok=True)
    if not (work / ANSWERS).is_file():
        run_command("demo", "--out", work)
    prepared = work / "train_valid"
    fashionai.prepare("skirt", prepared, data=work)
    large = [
        "data.resize_short=160",
        "data.crop=144",
        "data.augment=[{name: random_crop}, "
        "{name: mirror}, {name: rotate, degrees: 8}, {name: brightness, amount: 0.3}]",
    ]
    folder = f"data.folder={prepared}"
    run_command(
        *("preview", "--config", CONFIG, "--out", IMAGES / "preview.png"),
        *("--rows", 2, "--columns", 6, folder, *large),
    )
    shrink(IMAGES / "preview.png")
    run = fashionai.train(CONFIG, [folder], run=work / "runs/skirt", resume=True)
    draw_confusion(confusion(work, run), IMAGES / "confusion.png")
    run_command("report", run, "--split", "val", "--out", work / "report.html")
    photograph_report(work / "report.html", IMAGES / "report.png")


def run_command(*arguments: object) -> None:
    """Run a command of fashionai; CalledProcessError when it fails."""
    subprocess.run([sys.executable, "-m", "fashionai", *map(str, arguments)], check=True)


def shrink(picture: Path) -> None:
    """Make a PNG small enough for a repository: 800 pixels wide."""
    with Image.open(picture) as image:
        height = round(image.height * WIDTH / image.width)
        small = image.convert("RGB").resize((WIDTH, height), Image.Resampling.LANCZOS)
    small.save(picture, optimize=True)


def confusion(data: Path, run: object) -> pd.DataFrame:
    """Numbers of test images by true (rows) and predicted class."""
    answers = pd.read_csv(data / ANSWERS, names=["image", "task", "label"])
    answers = answers[answers["task"] == TASK]
    classes = fashionai.find_task(TASK).classes
    predicted = fashionai.predict([data / "rank" / image for image in answers["image"]], run)
    truth = [classes[label.index("y")] for label in answers["label"]]
    counts = pd.crosstab(pd.Series(truth, name="true"), predicted["class"])
    return counts.reindex(index=classes, columns=classes, fill_value=0)


def draw_confusion(counts: pd.DataFrame, out: Path) -> None:
    """A confusion matrix with its numbers, as PNG."""
    figure = Figure(figsize=(4.6, 4.0), dpi=150, layout="constrained")
    axes = figure.subplots()
    axes.imshow(counts, cmap="Blues")
    for row, column in ((r, c) for r in range(len(counts)) for c in range(len(counts))):
        number = int(counts.iat[row, column])
        colour = "white" if number > counts.to_numpy().max() / 2 else "black"
        axes.text(
            column, row, f"{number}" if number else "", ha="center", va="center", color=colour
        )
    axes.set_xticks(range(len(counts)), counts.columns, rotation=45)
    axes.set_yticks(range(len(counts)), counts.index)
    axes.set_xlabel("predicted")
    axes.set_ylabel("true")
    correct = int(counts.to_numpy().trace())
    axes.set_title(
        f"Skirt lengths of the demo: {correct} of {int(counts.to_numpy().sum())} correct"
    )
    figure.savefig(out)


def photograph_report(page: Path, out: Path) -> None:
    """The plots of precision and reliability and the worst mistakes of a report, as PNG."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path="/usr/bin/chromium", args=["--no-sandbox"]
        )
        tab = browser.new_page(viewport={"width": 1000, "height": 1200})
        tab.goto(page.resolve().as_uri())
        first, last = (
            tab.get_by_role("heading", name=name, exact=True).bounding_box()
            for name in ("Precision over thresholds, and calibration", "Least certain images")
        )
        clip = {"x": 0, "y": first["y"], "width": 1000, "height": last["y"] - first["y"]}
        tab.screenshot(path=out, clip=clip, full_page=True)
        browser.close()
    with Image.open(out) as image:
        # A palette is enough for lines, text and a few thumbnails, and a third of the size.
        image.convert("RGB").quantize(128).save(out, optimize=True)


if __name__ == "__main__":
    main()
