"""Measures what fashionai inspect finds: changed labels, and copies of pictures; and its time.

usage: scripts/studies/inspection_study.py labels --out DIR [--rows 10000]
       scripts/studies/inspection_study.py copies [--pictures DIR] [--count 1500]
       scripts/studies/inspection_study.py time --out DIR [--count 80000]

labels: of the first rows of Fashion-MNIST (Debian's dataset-fashion-mnist) 5 % of the labels are
changed, to any other class or to the class that is most often confused with the right one.
Out-of-fold probabilities are those of scikit-learn's ExtraTreesClassifier, 4 folds. Prints the
share of the changed labels that are among as many suspects. DIR/<kind>.npz keeps labels,
probabilities and changed rows, to compare with other methods.

copies: of tiles of scikit-learn's two photographs, and of drawings (Debian's openclipart-png), a
copy each is resized, recompressed, mirrored and brightened. Prints recall and precision of the
pairs that are found. Pictures with a standard deviation of less than 4 grey levels, such as tiles
of a clear sky, are left out, and drawings that hardly differ from another one, by the mean
difference of their pixels: they come in series.

time: a prepared task of drawn pictures of 96 pixels, of which every twentieth is a recompressed
copy of another one, and a made file of out-of-fold predictions, by which every twentieth label is
wrong. Prints the time and memory of the command inspect.
"""

from __future__ import annotations

import argparse
import gzip
import random
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import cv2
import numpy as np
from sklearn.datasets import load_sample_images
from sklearn.ensemble import ExtraTreesClassifier
from sklearn.model_selection import StratifiedKFold, cross_val_predict

from fashionai.datasets.near_duplicates import find_near_duplicates, hash_matrix
from fashionai.datasets.prepared.folders import plan_folders, write_folders
from fashionai.datasets.records import LabelledImage
from fashionai.errors import DataError
from fashionai.inspection.confident_learning import find_suspects
from fashionai.pipeline.decode import decode
from fashionai.pipeline.perceptual_hash import perceptual_hash
from fashionai.runs import CROSS_VALIDATION_FILE, OUT_OF_FOLD_FILE
from fashionai.tasks import Task

FASHION_MNIST = Path("/usr/share/datasets/fashion-mnist")
PICTURES = Path("/usr/share/openclipart/png")
CHANGED_SHARE = 0.05
# T-shirt and shirt, pullover and coat, trousers and dress, sandal and sneaker, and so on.
CONFUSED_WITH = np.array([6, 3, 4, 0, 2, 7, 0, 9, 3, 7])
TILE = 80
SIZE_CLASSES = 33
# Drawings of 64 pixels that differ by less than this from another one, on average, are left out.
SMALLEST_DIFFERENCE = 16
SMALLEST_CONTRAST = 4


def read_fashion_mnist(rows: int) -> tuple[np.ndarray, np.ndarray]:
    """Pixels ``(N, 784)`` from 0 to 1, and classes ``(N,)``, of the first training rows."""
    images = gzip.decompress((FASHION_MNIST / "train-images-idx3-ubyte.gz").read_bytes())
    labels = gzip.decompress((FASHION_MNIST / "train-labels-idx1-ubyte.gz").read_bytes())
    pixels = np.frombuffer(images, np.uint8, offset=16).reshape(-1, 784)[:rows] / 255
    return pixels, np.frombuffer(labels, np.uint8, offset=8)[:rows].astype(np.int64)


def change_labels(
    labels: np.ndarray, kind: str, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """The labels with some of them changed, and which rows these are, ``(N,) bool``."""
    is_changed = np.zeros(len(labels), bool)
    is_changed[rng.choice(len(labels), round(CHANGED_SHARE * len(labels)), replace=False)] = True
    others = CONFUSED_WITH[labels]
    if kind == "uniform":
        others = (labels + rng.integers(1, 10, len(labels))) % 10
    return np.where(is_changed, others, labels), is_changed


def study_labels(out: Path, rows: int) -> dict[str, float]:
    """Print and return, by kind of change, the share of changed labels among as many suspects."""
    pixels, labels = read_fashion_mnist(rows)
    out.mkdir(parents=True, exist_ok=True)
    shares = {}
    for kind in ("uniform", "confusable"):
        given, is_changed = change_labels(labels, kind, np.random.default_rng(0))
        probabilities = cross_val_predict(
            ExtraTreesClassifier(100, random_state=0),
            pixels,
            given,
            cv=StratifiedKFold(4, shuffle=True, random_state=0),
            method="predict_proba",
        )
        np.savez(out / f"{kind}.npz", labels=given, probabilities=probabilities, changed=is_changed)
        suspects = find_suspects(given, probabilities)
        found = is_changed[suspects[: is_changed.sum()]].sum() / is_changed.sum()
        shares[kind] = float(found)
        accuracy = (probabilities.argmax(axis=1) == labels).mean()
        print(
            f"{kind}: {found:.3f} of {is_changed.sum()} changed labels found among as many "
            f"suspects, of {len(suspects)}; accuracy out of fold {accuracy:.3f}"
        )
    return shares


def resized(pixels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The picture at 0.4 to 0.9 of its size."""
    scale = rng.uniform(0.4, 0.9)
    return cv2.resize(pixels, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)


def recompressed(pixels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The picture after JPEG compression of quality 30 to 79."""
    quality = int(rng.integers(30, 80))
    return cv2.imdecode(cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, quality])[1], 1)


def flipped(pixels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The picture with left and right exchanged."""
    return np.ascontiguousarray(pixels[:, ::-1])


def brightened(pixels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The picture with brightness times 0.8 to 1.25, and up to 15 grey levels more or less."""
    brighter = pixels * rng.uniform(0.8, 1.25) + rng.uniform(-15, 15)
    return brighter.clip(0, 255).astype(np.uint8)


CHANGES: dict[str, Callable[[np.ndarray, np.random.Generator], np.ndarray]] = {
    "resized": resized,
    "recompressed": recompressed,
    "mirrored": flipped,
    "brightened": brightened,
}


def photograph_tiles() -> list[np.ndarray]:
    """Tiles of two photographs, ``(TILE, TILE, 3) uint8``, which do not overlap."""
    tiles = [
        np.ascontiguousarray(photograph[top : top + TILE, left : left + TILE, ::-1])
        for photograph in load_sample_images().images
        for top in range(0, photograph.shape[0] - TILE + 1, TILE)
        for left in range(0, photograph.shape[1] - TILE + 1, TILE)
    ]
    return [tile for tile in tiles if thumbnail(tile).std() > SMALLEST_CONTRAST]


def thumbnail(pixels: np.ndarray) -> np.ndarray:
    """The grey picture at 64 x 64 pixels, ``uint8``."""
    grey = cv2.cvtColor(pixels, cv2.COLOR_BGR2GRAY)
    return cv2.resize(grey, (64, 64), interpolation=cv2.INTER_AREA)


def drawings(folder: Path, count: int) -> list[np.ndarray]:
    """Drawings of a folder that differ from each other."""
    files = sorted(folder.rglob("*.png"))
    random.Random(0).shuffle(files)
    kept: list[np.ndarray] = []
    small = np.zeros((0, 64, 64), np.int16)
    for file in files[:count]:
        try:
            pixels = decode(file.read_bytes(), None, str(file))
        except DataError:
            continue
        grey = thumbnail(pixels)
        both = np.stack([grey, grey[:, ::-1]]).astype(np.int16)
        distances = [np.abs(small - each).mean(axis=(1, 2)) for each in both]
        differs = np.min(distances, initial=255) >= SMALLEST_DIFFERENCE
        if differs and grey.std() > SMALLEST_CONTRAST:
            kept.append(pixels)
            small = np.concatenate([small, both[:1]])
    return kept


def study_copies(name: str, originals: Sequence[np.ndarray]) -> tuple[float, float]:
    """Print recall of each change, and precision; return recall of all changes, and precision."""
    rng, number = np.random.default_rng(0), len(originals)
    pictures = list(originals)
    for change in CHANGES.values():
        pictures += [change(pixels, rng) for pixels in originals]
    pairs = find_near_duplicates(hash_matrix([perceptual_hash(pixels) for pixels in pictures]))
    is_right = pairs.first % number == pairs.second % number
    found = set(zip(pairs.first[is_right].tolist(), pairs.second[is_right].tolist()))
    recalls = {
        change: float(np.mean([(at, at + number * k) in found for at in range(number)]))
        for k, change in enumerate(CHANGES, start=1)
    }
    recall, precision = sum(recalls.values()) / len(recalls), float(is_right.mean())
    parts = ", ".join(f"{change} {share:.3f}" for change, share in recalls.items())
    print(f"{number} {name}: recall {parts}, all {recall:.3f}; precision {precision:.3f}")
    return recall, precision


def write_task(folder: Path, count: int) -> None:
    """A prepared task of so many pictures below ``folder``, and a cross-validation of it."""
    task = Task("drawn", (), tuple(f"class {index}" for index in range(SIZE_CLASSES)), "table")
    rng = np.random.default_rng(0)
    images: list[LabelledImage] = []
    lines = ["path,class,probability," + ",".join(task.classes)]
    for number in range(count):
        if number % 20:
            coarse = rng.integers(0, 256, (8, 8, 3), dtype=np.uint8)
            pixels = cv2.resize(coarse, (96, 96), interpolation=cv2.INTER_CUBIC)
        else:
            pixels = recompressed(pixels, rng) if number else np.zeros((96, 96, 3), np.uint8)
        data = cv2.imencode(".jpg", pixels)[1].tobytes()
        truth, name = int(rng.integers(SIZE_CLASSES)), f"{number:06d}.jpg"
        label = (truth + (number % 20 == 1)) % SIZE_CLASSES
        images.append(LabelledImage(name, None, data, label, task.classes[label], ""))
        probabilities = rng.dirichlet(np.where(np.arange(SIZE_CLASSES) == truth, 10, 0.2)).round(8)
        best = int(probabilities.argmax())
        values = ",".join(f"{value:.8f}" for value in probabilities)
        lines.append(f"{name},{task.classes[best]},{probabilities[best]:.8f},{values}")
    splits = ["val" if number % 10 == 9 else "train" for number in range(count)]
    write_folders(folder / "prepared/drawn", task, plan_folders(images, splits), "copy")
    folds = folder / "folds"
    folds.mkdir(exist_ok=True)
    (folds / CROSS_VALIDATION_FILE).write_text("{folds: 2, crops: 1}\n")
    (folds / OUT_OF_FOLD_FILE).write_text("\n".join(lines) + "\n")


def study_time(out: Path, count: int) -> None:
    """Print the time and memory of inspect for so many pictures."""
    if not (out / "folds" / OUT_OF_FOLD_FILE).is_file():
        write_task(out, count)
    options = ["--folder", out / "prepared", "--folds", out / "folds", "--out", out / "found.csv"]
    command = [sys.executable, "-m", "fashionai", "inspect", "--task", "drawn", *options]
    start = time.perf_counter()
    subprocess.run(list(map(str, command)), check=True)
    seconds, used = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu, memory = used.ru_utime + used.ru_stime, used.ru_maxrss / 1e6
    print(f"{count:,} images: {seconds:.0f} s, {cpu:.0f} s of CPU time, {memory:.2f} GB")


def main() -> None:
    """Run a study."""
    parser = argparse.ArgumentParser(usage=(__doc__ or "").split("usage: ")[1].replace("%", "%%"))
    studies = parser.add_subparsers(dest="study", required=True)
    labels = studies.add_parser("labels")
    labels.add_argument("--out", type=Path, required=True)
    labels.add_argument("--rows", type=int, default=10_000)
    copies = studies.add_parser("copies")
    copies.add_argument("--pictures", type=Path, default=PICTURES)
    copies.add_argument("--count", type=int, default=1500)
    timed = studies.add_parser("time")
    timed.add_argument("--out", type=Path, required=True)
    timed.add_argument("--count", type=int, default=80_000)
    given = parser.parse_args()
    if given.study == "labels":
        study_labels(given.out, given.rows)
    elif given.study == "time":
        study_time(given.out, given.count)
    else:
        study_copies("tiles of photographs", photograph_tiles())
        study_copies("drawings", drawings(given.pictures, given.count))


if __name__ == "__main__":
    main()
