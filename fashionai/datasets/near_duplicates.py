"""Near-duplicates: pairs of images that look alike, found by their perceptual hashes.

Two images are near-duplicates if the cosine similarity of their hashes, or of one hash and the
mirrored other one, is at least SIMILAR. Candidates share a bucket of random hyperplanes (Charikar
2002, Similarity Estimation Techniques from Rounding Algorithms, section 3), so that the time grows
with the number of images and not with its square. All sums are of whole numbers that float32
holds exactly: the result does not depend on the processor or on its number of threads.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from fashionai.pipeline.perceptual_hash import HASH_SIZE, mirrored
from fashionai.progress import Advance, no_progress

# Pairs of distinct photographs reach 0.6; copies of half the size, of JPEG quality 30 or a quarter
# brighter have more than 0.95 in 19 of 20 cases. See docs/studies.md.
SIMILAR = 0.95
# A pair of similarity 0.95 is on the same side of a hyperplane with probability 0.899, in the same
# bucket of 20 hyperplanes with 0.119, and in one or more of 40 buckets with 0.994.
_TABLES = 40
_HYPERPLANES = 20
# In a bucket an image is compared with so many that follow it: in a film, thousands share one.
_COMPARED = 16
# Candidates whose hashes are in memory at once.
_CHUNK = 100_000


class NearDuplicates(NamedTuple):
    """P pairs of images: positions ``(P,) int64`` with ``first < second``, sorted by both.

    ``similarity`` ``(P,) float64`` is from SIMILAR to 1. ``is_mirrored`` ``(P,) bool`` tells that
    the images are more alike with left and right of one exchanged.
    """

    first: np.ndarray
    second: np.ndarray
    similarity: np.ndarray
    is_mirrored: np.ndarray

    def among(self, kept: np.ndarray) -> NearDuplicates:
        """The pairs of images that are ``kept``, ``(N,) bool``, by their positions among these."""
        both = kept[self.first] & kept[self.second]
        places = np.cumsum(kept) - 1
        first, second = places[self.first[both]], places[self.second[both]]
        return NearDuplicates(first, second, self.similarity[both], self.is_mirrored[both])


def find_near_duplicates(hashes: np.ndarray, progress: Advance = no_progress) -> NearDuplicates:
    """The near-duplicates among N images with the hashes ``(N, HASH_SIZE) int8``.

    Images of one colour have none. Of images with equal hashes, each later one is paired with the
    first, and the first alone with others. ``progress`` is called with numbers that add up to N.
    """
    usable = np.flatnonzero(hashes.any(axis=1))
    distinct, firsts, number = np.unique(
        hashes[usable], axis=0, return_index=True, return_inverse=True
    )
    number = number.reshape(-1)
    copies = np.flatnonzero(firsts[number] != np.arange(len(usable)))
    found = _verified(distinct, progress)
    progress(len(hashes) - len(distinct))
    first = usable[np.concatenate([firsts[found.first], firsts[number[copies]]])]
    second = usable[np.concatenate([firsts[found.second], copies])]
    similarity = np.concatenate([found.similarity, np.ones(len(copies))])
    is_mirrored = np.concatenate([found.is_mirrored, np.zeros(len(copies), bool)])
    first, second = np.minimum(first, second), np.maximum(first, second)
    order = np.lexsort((second, first))
    return NearDuplicates(first[order], second[order], similarity[order], is_mirrored[order])


def connected(count: int, first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """The group of each of ``count`` images, ``(N,) int64``: pairs connect images, also in chains.

    ``first`` and ``second`` are the positions of the images of each pair, ``(P,) int64``. A group
    is the position of its first image.
    """
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    edges = coo_matrix((np.ones(len(first)), (first, second)), (count, count))
    _, labels = connected_components(edges, directed=False)
    _, firsts, number = np.unique(labels, return_index=True, return_inverse=True)
    return np.asarray(firsts[number.reshape(-1)])


def _verified(hashes: np.ndarray, progress: Advance) -> NearDuplicates:
    """The near-duplicates among distinct hashes, each pair once and as similar as it can be."""
    count = len(hashes)
    both = np.concatenate([hashes, mirrored(hashes)])
    lengths = np.sqrt(np.square(both.astype(np.float32)).sum(axis=1, dtype=np.float64))
    keys, values = [np.zeros(0, np.int64)], [np.zeros(0)]
    for one, other in _candidates(both, progress):
        products = np.einsum("ij,ij->i", both[one], both[other], dtype=np.float32)
        similarity = products / (lengths[one] * lengths[other])
        kept = similarity >= SIMILAR
        keys.append(one[kept] * 2 * count + other[kept])
        values.append(similarity[kept])
    key, at = np.unique(np.concatenate(keys), return_index=True)
    first, second = np.divmod(key, max(2 * count, 1))
    return _most_similar(first, second, np.concatenate(values)[at], count)


def _most_similar(
    first: np.ndarray, second: np.ndarray, similarity: np.ndarray, count: int
) -> NearDuplicates:
    """Of each pair the more similar of its two ways, upright and mirrored."""
    is_mirrored, second = second >= count, second % max(count, 1)
    first, second = np.minimum(first, second), np.maximum(first, second)
    order = np.lexsort((is_mirrored, -similarity, second, first))
    first, second = first[order], second[order]
    is_new = np.ones(len(order), bool)
    is_new[1:] = (first[1:] != first[:-1]) | (second[1:] != second[:-1])
    kept = order[is_new]
    return NearDuplicates(first[is_new], second[is_new], similarity[kept], is_mirrored[kept])


def _candidates(both: np.ndarray, progress: Advance) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Positions of pairs that share a bucket, in chunks; pairs of two mirrored images are left out.

    ``both`` holds the hashes of the images, followed by those of the mirrored images.
    """
    count = len(both) // 2
    rng = np.random.default_rng(0)
    values = both.astype(np.float32)
    for table in range(_TABLES):
        hyperplanes = rng.integers(0, 2, (HASH_SIZE, _HYPERPLANES)) * 2 - 1
        sides = values @ hyperplanes.astype(np.float32) > 0
        buckets = sides @ (1 << np.arange(_HYPERPLANES))
        order = np.argsort(buckets, kind="stable")  # so that one < other below
        sorted_buckets = buckets[order]
        for step in range(1, min(_COMPARED, len(order) - 1) + 1):
            shared = np.flatnonzero(sorted_buckets[step:] == sorted_buckets[:-step])
            if not len(shared):
                break
            one, other = order[shared], order[shared + step]
            kept = (one < count) & (other != one + count)
            one, other = one[kept], other[kept]
            for start in range(0, len(one), _CHUNK):
                yield one[start : start + _CHUNK], other[start : start + _CHUNK]
        progress(count * (table + 1) // _TABLES - count * table // _TABLES)


def hash_matrix(hashes: Sequence[np.ndarray]) -> np.ndarray:
    """Hashes of single images as ``(N, HASH_SIZE) int8``."""
    return np.array(hashes, np.int8).reshape(-1, HASH_SIZE)
