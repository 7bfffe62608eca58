"""The preview against the loader's contract, pixel by pixel, and whether titles are readable."""

from __future__ import annotations

from itertools import combinations
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from fashionai.cli import main
from fashionai.config import Config, load_config
from fashionai.pipeline.augment import TrainingTransform
from fashionai.reporting.preview import (
    Tile,
    draw_grid,
    image_tiles,
    keep_beginning,
    mixed_title,
    training_tiles,
)
from tests.support.data_trees import write_fashionai_data

TASKS = {"skirt_length_labels": 6, "neck_design_labels": 5}


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Config:
    """Two prepared tasks, and a configuration file c.yaml, in the current folder."""
    monkeypatch.chdir(tmp_path)
    for task, classes in TASKS.items():
        write_fashionai_data(Path("data"), task, classes)
    main(["prepare", "--task", "skirt", "--task", "neck"])
    Path("c.yaml").write_text(
        "task: [skirt, neck]\nbatch_size: 8\nseed: 3\nmodel: {pretrained: false}\n"
        "data: {resize_short: 36, crop: 32, augment: "
        "[{name: random_crop}, {name: mirror}, {name: rotate}]}\n"
    )
    return load_config(Path("c.yaml"), ())


def training_files() -> list[Path]:
    """Of both tasks, in the order of the manifests."""
    files = []
    for task in TASKS:
        folder = Path("data/train_valid") / task
        for line in (folder / "manifest.csv").read_text().splitlines()[1:]:
            split, index, _, file, *_ = line.split(",")
            if split == "train":
                (found,) = folder.glob(f"train/{index}_*/{file}")
                files.append(found)
    return files


@pytest.mark.parametrize("epoch", [0, 4])
def test_tiles_are_the_epochs_first_images_with_their_classes(config: Config, epoch: int) -> None:
    files = training_files()
    order = np.random.default_rng((3, epoch, 0, 1)).permutation(len(files))
    tiles = training_tiles(config, 20, epoch)
    assert len(tiles) == 20
    assert len({tile.title.split(":")[0] for tile in tiles}) == 2
    for row, tile in zip(order, tiles):
        expected = np.zeros((1, 32, 32, 3), np.uint8)
        rng = np.random.default_rng((3, epoch, int(row), 0))
        TrainingTransform(config.data)(cv2.imread(str(files[row])), rng, expected)
        np.testing.assert_array_equal(tile.image, expected[0])
        task, name = files[row].parts[-4], files[row].parent.name.split("_")[1]
        assert tile.title.replace(" ", "-") == f"{task.split('_')[0]}:-{name}"


def test_one_task_goes_without_its_name(config: Config) -> None:
    tiles = training_tiles(load_config(Path("c.yaml"), ["task=neck"]), 9, 0)
    names = {tile.title for tile in tiles}
    assert names <= {"Invisible", "Turtle", "Ruffle Semi-High", "Low Turtle", "Draped"}


def test_a_small_data_set_fills_what_it_can(config: Config) -> None:
    assert len(training_tiles(config, 400, 0)) == len(training_files())


def test_cutmix_shows_both_images_and_the_share_of_each(config: Config) -> None:
    mixed = training_tiles(load_config(Path("c.yaml"), ["loss.cutmix=1.0"]), 32, 0)
    plain = training_tiles(config, 32, 0)
    several = 0
    for number, tile in enumerate(mixed):
        own = (tile.image == plain[number].image).all(axis=2)
        # Batches have 8 images: the partner is among them, and fills all that is not kept.
        batch = plain[number // 8 * 8 : number // 8 * 8 + 8]
        partners = [t for t in batch if (t.image == tile.image)[~own].all()]
        assert partners
        if own.all():
            continue
        (partner,) = partners
        share = own.mean()
        if partner.title != plain[number].title and "…" not in tile.title:
            several += 1
            first, second = tile.title.replace(" / ", "\n").split("\n")
            assert first.startswith(plain[number].title)
            assert second.startswith(partner.title)
            # Noisy images: hardly a pixel is the same by chance.
            assert float(first.split()[-1]) == pytest.approx(share, abs=0.02)
            assert float(second.split()[-1]) == pytest.approx(1 - share, abs=0.02)
    assert several > 3


def test_mixup_shows_weighted_means(config: Config) -> None:
    mixed = training_tiles(load_config(Path("c.yaml"), ["loss.mixup=1.0"]), 8, 0)
    plain = [tile.image.astype(float) for tile in training_tiles(config, 8, 0)]
    for number, tile in enumerate(mixed):
        errors = []
        for partner in plain:
            # Least squares for the own weight.
            away = plain[number] - partner
            weight = (away * (tile.image - partner)).sum() / max((away**2).sum(), 1)
            errors.append(np.abs(weight * away + partner - tile.image).max())
        assert min(errors) < 0.6  # rounding, and the estimate's own error


def test_one_image_is_shown_under_different_draws(config: Config) -> None:
    path = training_files()[0]
    with_mixing = load_config(Path("c.yaml"), ["loss.cutmix=1.0"])
    tiles = image_tiles(with_mixing, path, 12, 0)
    assert len({tile.image.tobytes() for tile in tiles}) == 12
    assert not any(tile.title for tile in tiles)
    for one, other in zip(tiles, image_tiles(config, path, 12, 0)):
        np.testing.assert_array_equal(one.image, other.image)


@pytest.mark.parametrize(
    ("names", "share", "title"),
    [
        (("Short", "Midi"), 0.7, "Short .70 / Midi .30"),
        (("Short", "Short"), 0.7, "Short"),
        (("Extra Long", "Sleeveless"), 0.655, "Extra Long .66\nSleeveless .34"),
        (("Short", "Midi"), 1.0, "Short 1.00 / Midi .00"),
    ],
)
def test_titles_of_mixed_images(names, share, title) -> None:
    assert mixed_title(*names, share) == title


def test_long_names_are_shortened() -> None:
    assert keep_beginning("Ruffle Semi-High", 16) == "Ruffle Semi-High"
    assert keep_beginning("Ruffle Semi-High", 12) == "Ruffle Semi…"
    assert keep_beginning("Ruffle Semi-High", 8) == "Ruffle…"


LONG_TITLES = [
    "neckline: One Shoulder",
    "neck: Ruffle Semi-High",
    keep_beginning("sleeve: LONGER THAN EVERYTHING", 23),
    mixed_title("neck: Ruffle Semi-High", "coat: Ankle & Floor", 0.5),
    mixed_title("lapel: Plus Size Shawl", "neckline: Sweetheart", 0.25),
]


@pytest.mark.parametrize("columns", [2, 4])
def test_titles_do_not_touch_each_other_or_the_images(columns: int) -> None:
    tiles = [Tile(np.zeros((32, 32, 3), np.uint8), title) for title in LONG_TITLES * 2][:8]
    figure = draw_grid(tiles, columns)
    figure.draw_without_rendering()
    titles = [axes.title.get_window_extent() for axes in figure.axes]
    images = [axes.bbox for axes in figure.axes]
    for one, other in combinations(titles + images, 2):
        assert not one.overlaps(other)
    for title, image in zip(titles, images):
        assert image.y1 < title.y0 < image.y1 + 10
        assert abs((title.x0 + title.x1) - (image.x0 + image.x1)) < 2
        assert 0 <= title.x0 < title.x1 <= figure.bbox.width
        assert title.y1 <= figure.bbox.height


@pytest.mark.parametrize("of_one_image", [False, True])
def test_the_command_writes_a_png_and_prints_its_name(config, capsys, of_one_image) -> None:
    capsys.readouterr()
    extra = ["--image", str(training_files()[0])] if of_one_image else []
    main(["preview", "--config", "c.yaml", "--out", "p.png", "--rows", "2", "--columns=3", *extra])
    assert capsys.readouterr().out == "p.png: 6 images of epoch 1\n"
    with Image.open("p.png") as picture:
        assert picture.format == "PNG"
        colours = len(np.unique(np.asarray(picture.convert("RGB")).reshape(-1, 3), axis=0))
    assert colours > 100
    assert picture.width == pytest.approx(3 * 224, abs=60)
    assert picture.height == pytest.approx(2 * 224, abs=80)


def test_every_tile_stands_in_its_place() -> None:
    tiles = [Tile(np.full((16, 16, 3), 40 * number, np.uint8), "") for number in range(5)]
    figure = draw_grid(tiles, 3)
    centres = [
        (round((box.x0 + box.x1) / 2, 3), round((box.y0 + box.y1) / 2, 3))
        for box in (axes.get_position() for axes in figure.axes)
    ]
    assert [x for x, _ in centres[:3]] == sorted(x for x, _ in centres[:3])
    assert [x for x, _ in centres[3:]] == [x for x, _ in centres[:2]]
    assert len({y for _, y in centres[:3]}) == 1
    assert centres[3][1] < centres[0][1]
