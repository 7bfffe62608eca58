"""The threaded loader: order, determinism, errors, and how far it reads ahead."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import cv2
import numpy as np
import pytest

from fashionai.config import DataConfig
from fashionai.config.augmentations import AUGMENTATIONS
from fashionai.errors import DataError
from fashionai.pipeline.augment import EvaluationTransform, TrainingTransform
from fashionai.pipeline.loader import PREFETCH, Loader, draws_of

DATA = DataConfig(resize_short=20, crop=16)
EVERYTHING = DataConfig(
    resize_short=20,
    crop=16,
    augment=[{"name": name} for name in AUGMENTATIONS],
)
COUNT = 23


@pytest.fixture
def paths(tmp_path: Path) -> list[Path]:
    """Images without loss, each of the colour of its number."""
    files = []
    for row in range(COUNT):
        image = np.random.default_rng(row).integers(0, 256, (20, 24, 3), np.uint8)
        image[:, :, 1] = row * 10
        files.append(tmp_path / f"{row:02d}.png")
        cv2.imwrite(str(files[-1]), image)
    return files


class Watched:
    """Centre crops that take some time; tells how many were made."""

    decode_short, crop, views = 20, 16, 1

    def __init__(self, seconds: float = 0) -> None:
        self.done = 0
        self._seconds = seconds
        self._lock = threading.Lock()

    def __call__(self, image: np.ndarray, rng: np.random.Generator, out: np.ndarray) -> None:
        time.sleep(self._seconds)
        out[0] = image[2:18, 4:20]
        with self._lock:
            self.done += 1


def decode_threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name.startswith("decode")]


def numbers(images: np.ndarray) -> list[int]:
    """Which images a batch of one view each holds, told by their green channel."""
    assert (images[..., 1] == images[:, :1, :1, :1, 1]).all()
    return [int(value) // 10 for value in images[:, 0, 0, 0, 1]]


@pytest.mark.parametrize("workers", [1, 2, 3, 16])
@pytest.mark.parametrize("batch_size", [1, 4, 23, 40])
def test_batches_hold_the_rows_in_order_and_the_last_is_short(paths, workers, batch_size) -> None:
    rows = np.random.default_rng(1).permutation(COUNT)
    loader = Loader(paths, TrainingTransform(DATA), batch_size, workers=workers)
    batches = list(loader.batches(rows))
    assert [len(batch.rows) for batch in batches] == [
        min(batch_size, COUNT - start) for start in range(0, COUNT, batch_size)
    ]
    assert len(batches) == loader.steps(COUNT)
    np.testing.assert_array_equal(np.concatenate([batch.rows for batch in batches]), rows)
    for batch in batches:
        assert batch.images.shape == (len(batch.rows), 1, 16, 16, 3)
        assert batch.images.dtype == np.uint8
        assert numbers(batch.images) == batch.rows.tolist()
    assert decode_threads() == []


def all_images(loader: Loader, rows: np.ndarray, **options) -> np.ndarray:
    return np.concatenate([batch.images for batch in loader.batches(rows, **options)])


@pytest.mark.parametrize("data", [DATA, EVERYTHING], ids=["default", "every step"])
def test_bytes_depend_on_seed_and_epoch_and_not_on_workers_or_batches(paths, data) -> None:
    rows = np.arange(COUNT)

    def images(workers: int = 2, batch_size: int = 5, seed: int = 7, epoch: int = 3) -> bytes:
        loader = Loader(paths, TrainingTransform(data), batch_size, workers=workers, seed=seed)
        return all_images(loader, rows, epoch=epoch).tobytes()

    reference = images()
    assert images() == reference
    assert images(workers=1) == reference
    assert images(workers=5, batch_size=8) == reference
    assert images(epoch=4) != reference
    assert images(seed=8) != reference


def test_a_rows_view_is_the_same_wherever_it_stands(paths) -> None:
    loader = Loader(paths, TrainingTransform(DATA), 5, seed=7)
    order = np.random.default_rng(0).permutation(COUNT)
    in_order, shuffled = all_images(loader, np.arange(COUNT)), all_images(loader, order)
    np.testing.assert_array_equal(shuffled, in_order[order])


@pytest.mark.parametrize("skip", [0, 1, 3, 4, 5, 9])
def test_skipping_gives_the_tail(paths, skip: int) -> None:
    loader = Loader(paths, TrainingTransform(DATA), 5, workers=2, seed=1)
    draws = draws_of(np.arange(COUNT)[::-1], epoch=2)
    whole, tail = list(loader.load(draws)), list(loader.load(draws, skip))
    assert len(tail) == max(0, 5 - skip)
    for one, other in zip(whole[skip:], tail):
        np.testing.assert_array_equal(one.rows, other.rows)
        np.testing.assert_array_equal(one.images, other.images)


def test_ten_views_of_an_image_stay_together(paths) -> None:
    loader = Loader(paths, EvaluationTransform(DATA, 10), 4, workers=2)
    images = all_images(loader, np.arange(COUNT))
    assert images.shape == (COUNT, 10, 16, 16, 3)
    for row in range(COUNT):
        assert (images[row, ..., 1] == row * 10).all()
    np.testing.assert_array_equal(images[:, 5:], images[:, :5, :, ::-1])


def test_no_rows_are_no_batches(paths) -> None:
    loader = Loader(paths, TrainingTransform(DATA), 4)
    assert loader.steps(0) == 0
    assert list(loader.batches(np.arange(0))) == []


@pytest.mark.parametrize("harm", ["deleted", "emptied", "text"])
@pytest.mark.parametrize("row", [0, 11, 22])
def test_a_bad_image_is_an_error_with_its_name_and_no_thread_is_left(paths, harm, row) -> None:
    if harm == "deleted":
        paths[row].unlink()
    else:
        paths[row].write_bytes(b"" if harm == "emptied" else b"text")
    loader = Loader(paths, TrainingTransform(DATA), 4, workers=3)
    batches = loader.batches(np.arange(COUNT))
    good = 0
    with pytest.raises(DataError) as caught:  # noqa: PT012 - which batches came before it
        for batch in batches:
            assert numbers(batch.images) == batch.rows.tolist()
            good += 1
    assert str(paths[row]) in str(caught.value)
    assert good == row // 4
    assert decode_threads() == []


def test_any_other_failure_in_a_thread_reaches_the_consumer(paths) -> None:
    class Broken(Watched):
        def __call__(self, image, rng, out) -> None:
            raise MemoryError("no room")

    with pytest.raises(MemoryError, match="no room"):
        list(Loader(paths, Broken(), 4, workers=2).batches(np.arange(COUNT)))
    assert decode_threads() == []


def test_a_consumer_that_stops_early_ends_promptly(paths) -> None:
    transform = Watched(seconds=0.02)
    rows = np.tile(np.arange(COUNT), 100)
    batches = Loader(paths, transform, 8, workers=2).batches(rows)
    next(batches)
    start = time.monotonic()
    batches.close()
    assert time.monotonic() - start < 2
    assert decode_threads() == []
    # The batch that was taken and what the threads had begun, not all that was waiting.
    assert transform.done <= 3 * 8 < (1 + PREFETCH) * 8


def test_reading_ahead_is_bounded_and_happens(paths) -> None:
    transform = Watched()
    rows = np.tile(np.arange(COUNT), 10)
    batches = Loader(paths, transform, 4, workers=2).batches(rows)
    assert transform.done == 0
    for used in range(1, 6):
        next(batches)
        most = 4 * (used + PREFETCH)
        deadline = time.monotonic() + 5
        while transform.done < most and time.monotonic() < deadline:
            time.sleep(0.005)
        time.sleep(0.05)  # time for images that should not be read
        assert transform.done == most
    batches.close()


def test_slow_decoding_is_shared_among_the_workers(paths) -> None:
    def seconds(workers: int) -> float:
        start = time.monotonic()
        list(Loader(paths, Watched(seconds=0.02), 8, workers=workers).batches(np.arange(16)))
        return time.monotonic() - start

    # 16 images of 20 ms of sleep: 320 ms alone, 40 ms by eight.
    assert seconds(8) < 0.6 * seconds(1)


def test_a_row_that_is_drawn_again_has_another_view(tmp_path: Path) -> None:
    """Once more in the same epoch, as a balanced sampler draws it, but the same in each run."""
    path = tmp_path / "noise.png"
    cv2.imwrite(str(path), np.random.default_rng(0).integers(0, 256, (40, 40, 3), np.uint8))
    data = DataConfig(resize_short=40, crop=16)
    runs = []
    for workers in (1, 3):
        loader = Loader([path], TrainingTransform(data), 4, workers=workers, seed=1)
        batches = loader.batches(np.zeros(12, np.int64), epoch=2)
        runs.append(np.concatenate([batch.images[:, 0] for batch in batches]))
    np.testing.assert_array_equal(runs[0], runs[1])
    assert len({view.tobytes() for view in runs[0]}) == 12
