"""Near-duplicates: against all pairs, and the groups that pairs make."""

from __future__ import annotations

import numpy as np

from fashionai.datasets.near_duplicates import (
    SIMILAR,
    connected,
    find_near_duplicates,
    hash_matrix,
)
from fashionai.pipeline.perceptual_hash import HASH_SIZE, mirrored


def random_hashes(count: int, rng: np.random.Generator) -> np.ndarray:
    return rng.integers(-127, 128, (count, HASH_SIZE)).astype(np.int8)


def with_noise(hashes: np.ndarray, size: float, rng: np.random.Generator) -> np.ndarray:
    noisy = hashes + rng.normal(0, size, hashes.shape)
    return noisy.clip(-127, 127).round().astype(np.int8)


def naive_pairs(hashes: np.ndarray) -> dict[tuple[int, int], tuple[float, bool]]:
    """Similarity and whether it is that of the mirrored image, of all similar pairs."""
    found = {}
    values, flipped = hashes.astype(float), mirrored(hashes).astype(float)
    lengths = np.linalg.norm(values, axis=1)
    for one in range(len(hashes)):
        for other in range(one + 1, len(hashes)):
            upright = values[one] @ values[other] / (lengths[one] * lengths[other])
            turned = values[one] @ flipped[other] / (lengths[one] * lengths[other])
            if max(upright, turned) >= SIMILAR:
                found[one, other] = max(upright, turned), turned > upright
    return found


def test_pairs_are_those_of_all_comparisons() -> None:
    rng = np.random.default_rng(0)
    originals = random_hashes(150, rng)
    hashes = np.concatenate(
        [originals, with_noise(originals[:50], 16, rng), mirrored(originals[50:80])]
    )
    expected = naive_pairs(hashes)
    assert len(expected) == 80
    pairs = find_near_duplicates(hashes)
    found = {
        (one, other): (similarity, flipped)
        for one, other, similarity, flipped in zip(
            pairs.first.tolist(),
            pairs.second.tolist(),
            pairs.similarity.tolist(),
            pairs.is_mirrored.tolist(),
        )
    }
    assert found.keys() == expected.keys()
    for pair, (similarity, flipped) in expected.items():
        assert abs(found[pair][0] - similarity) < 1e-6
        assert found[pair][1] == flipped


def test_equal_hashes_are_paired_with_the_first_and_empty_ones_with_none() -> None:
    rng = np.random.default_rng(1)
    one, empty = random_hashes(1, rng)[0], np.zeros(HASH_SIZE, np.int8)
    pairs = find_near_duplicates(hash_matrix([empty, one, empty, one, one]))
    assert list(zip(pairs.first.tolist(), pairs.second.tolist())) == [(1, 3), (1, 4)]
    assert pairs.similarity.tolist() == [1, 1]
    assert find_near_duplicates(hash_matrix([])).first.tolist() == []


def test_a_film_does_not_give_the_square_of_its_frames_and_is_one_group() -> None:
    rng = np.random.default_rng(2)
    film = with_noise(np.repeat(random_hashes(1, rng), 800, axis=0), 6, rng)
    pairs = find_near_duplicates(film)
    assert len(pairs.first) < 0.6 * 800 * 1499 / 2
    assert not connected(800, pairs.first, pairs.second).any()


def test_pairs_connect_images_in_chains() -> None:
    groups = connected(6, np.array([4, 1]), np.array([5, 4]))
    assert groups.tolist() == [0, 1, 2, 3, 1, 1]
