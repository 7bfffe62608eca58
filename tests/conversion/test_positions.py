"""Position embeddings of other sizes, against a naive loop and against PyTorch."""

from __future__ import annotations

import numpy as np
import pytest

from fashionai.conversion.positions import is_positions, resize_positions
from fashionai.errors import WeightsError


def random_embedding(tokens: int) -> np.ndarray:
    return np.random.default_rng(tokens).normal(size=(1, tokens, 5)).astype(np.float32)


@pytest.mark.parametrize(("old", "new"), [(14, 20), (14, 7), (14, 24), (24, 14), (3, 8), (2, 1)])
def test_patches_are_interpolated_as_pytorch_does(old: int, new: int) -> None:
    torch = pytest.importorskip("torch")
    embedding = random_embedding(old**2)
    maps = torch.from_numpy(embedding).double().reshape(1, old, old, 5).permute(0, 3, 1, 2)
    expected = torch.nn.functional.interpolate(
        maps, size=(new, new), mode="bicubic", align_corners=False, antialias=True
    )
    found = resize_positions(embedding, new**2)
    assert found.dtype == np.float32
    np.testing.assert_allclose(
        found.reshape(new, new, 5), expected[0].permute(1, 2, 0), rtol=0, atol=1e-6
    )


def test_the_class_token_keeps_its_vector() -> None:
    embedding = random_embedding(1 + 16)
    found = resize_positions(embedding, 1 + 36)
    np.testing.assert_array_equal(found[:, 0], embedding[:, 0])
    np.testing.assert_array_equal(found[:, 1:], resize_positions(embedding[:, 1:], 36))


def test_an_embedding_of_the_same_size_stays_as_it_is() -> None:
    embedding = random_embedding(17)
    assert resize_positions(embedding, 17) is embedding


def test_constant_embeddings_stay_constant() -> None:
    constant = np.full((1, 49, 3), 2.5, np.float32)
    for side in (3, 9, 20):
        np.testing.assert_allclose(resize_positions(constant, side**2), 2.5, rtol=1e-6)


@pytest.mark.parametrize(("old", "new"), [(16, 17), (17, 16), (19, 17), (17, 20), (0, 4), (16, 0)])
def test_embeddings_that_are_no_squares_are_refused(old: int, new: int) -> None:
    with pytest.raises(WeightsError, match=f"^a position embedding of {old} tokens does not fit "):
        resize_positions(random_embedding(old), new)


def test_names() -> None:
    assert is_positions("features.0.positions")
    assert not is_positions("features.0.class_token")
