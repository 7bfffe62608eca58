"""Position embeddings of vision transformers: one vector per patch of a square image.

Before those of the patches there may be one for the class token. The names of these parameters
end in ``positions`` in Gluon networks.
"""

from __future__ import annotations

import math

import numpy as np

from fashionai.errors import WeightsError

# The parameter of the cubic kernel, as in Pillow and in PyTorch with antialiasing.
SHARPNESS = -0.5
# The cubic kernel is zero beyond this distance, in pixels.
SUPPORT = 2.0


def is_positions(name: str) -> bool:
    """Whether a parameter of a Gluon network is a position embedding."""
    return name.rpartition(".")[2] == "positions"


def resize_positions(embedding: np.ndarray, count: int) -> np.ndarray:
    """Interpolate a position embedding ``(1, N, C)`` for another size of images.

    ``count`` is the new N. Vectors of patches are interpolated with an antialiased cubic kernel,
    that of the class token is kept. Raises WeightsError unless both are for a square of patches,
    and both with or both without a class token.
    """
    tokens = embedding.shape[1]
    if tokens == count:
        return embedding
    (side, first), (new_side, new_first) = _grid(tokens), _grid(count)
    if first != new_first or first not in (0, 1) or not side or not new_side:
        raise WeightsError(f"a position embedding of {tokens} tokens does not fit {count} tokens")
    weights = interpolation_weights(side, new_side)
    grid = embedding[0, first:].reshape(side, side, -1).astype(np.float64)
    resized = np.einsum("ai,bj,ijc->abc", weights, weights, grid, optimize=True)
    patches = resized.reshape(1, new_side**2, -1).astype(embedding.dtype)
    return np.concatenate([embedding[:, :first], patches], axis=1)


def interpolation_weights(old: int, new: int) -> np.ndarray:
    """The weights ``(new, old)`` of old values in new values along one axis.

    A kernel that shrinks is as many times wider as there are fewer values.
    """
    scale = old / new
    centres = (np.arange(new) + 0.5) * scale
    distances = (np.arange(old) + 0.5 - centres[:, None]) / max(scale, 1.0)
    weights = _cubic(np.abs(distances))
    normalised: np.ndarray = weights / weights.sum(axis=1, keepdims=True)
    return normalised


def _cubic(distance: np.ndarray) -> np.ndarray:
    """Keys' cubic kernel, https://doi.org/10.1109/TASSP.1981.1163711."""
    a = SHARPNESS
    near = (a + 2) * distance**3 - (a + 3) * distance**2 + 1
    far = a * (distance**3 - 5 * distance**2 + 8 * distance - 4)
    return np.where(distance < 1, near, np.where(distance < SUPPORT, far, 0.0))


def _grid(tokens: int) -> tuple[int, int]:
    """The side of the square of patches, and the number of tokens before them."""
    side = math.isqrt(tokens)
    return side, tokens - side**2
