"""Vision transformers with patches of 16 pixels.

ViT is that of "An Image is Worth 16x16 Words", https://arxiv.org/abs/2010.11929, in the sizes
of "How to train your ViT?", https://arxiv.org/abs/2106.10270. DeiT3 is that of "DeiT III:
Revenge of the ViT", https://arxiv.org/abs/2204.07118. The networks have the parameters of timm's
``vit_*_patch16_224`` and ``deit3_*_patch16_224``.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple, Optional

from fashionai.frameworks.mxnet import import_mxnet
from fashionai.models.networks.blocks import drop_path, drop_path_rates
from fashionai.models.networks.options import Builder, NetworkOptions
from fashionai.models.networks.pointwise import Mlp, layer_norm, projection

mx = import_mxnet()
nn = mx.gluon.nn
HybridBlock: Any = mx.gluon.HybridBlock

PATCH = 16
DEPTH = 12
HEAD_CHANNELS = 64
# The standard deviation of the first class token and position embedding.
FIRST_DEVIATION = 0.02
FIRST_SCALE = 1e-6


class Variant(NamedTuple):
    """What differs between ViT and DeiT3.

    ``token_position``: whether the position embedding has an entry for the class token, too.
    ``first_scale``: the first value of the layer scale; None for no layer scale.
    """

    token_position: bool
    first_scale: Optional[float]


VIT = Variant(token_position=True, first_scale=None)
DEIT3 = Variant(token_position=False, first_scale=FIRST_SCALE)
# The channels of each network.
SIZES: dict[str, tuple[int, Variant]] = {
    "vit_tiny": (192, VIT),
    "vit_small": (384, VIT),
    "vit_base": (768, VIT),
    "deit3_small": (384, DEIT3),
    "deit3_base": (768, DEIT3),
}


class Embedding(HybridBlock):
    """Tokens ``(B, N, C)`` of images: the class token, then one token per patch."""

    def __init__(self, channels: int, patches: int, token_position: bool) -> None:
        super().__init__()
        self._token_position = token_position
        first = mx.init.Normal(FIRST_DEVIATION)
        with self.name_scope():
            self.patches = nn.Conv2D(channels, kernel_size=PATCH, strides=PATCH, in_channels=3)
            self.class_token = self.params.get("class_token", shape=(1, 1, channels), init=first)
            self.positions = self.params.get(
                "positions", shape=(1, patches + token_position, channels), init=first
            )

    def hybrid_forward(self, F: Any, x: Any, class_token: Any, positions: Any) -> Any:  # noqa: N803
        """The tokens of images ``(B, 3, H, W)``."""
        tokens = F.transpose(F.reshape(self.patches(x), (0, 0, -1)), axes=(0, 2, 1))
        if not self._token_position:
            tokens = F.broadcast_add(tokens, positions)
        # One class token per image.
        zeros = F.zeros_like(F.slice_axis(tokens, axis=1, begin=0, end=1))
        tokens = F.concat(F.broadcast_add(zeros, class_token), tokens, dim=1)
        return F.broadcast_add(tokens, positions) if self._token_position else tokens


class Attention(HybridBlock):
    """Self-attention with heads of 64 channels."""

    def __init__(self, channels: int, first_scale: Optional[float]) -> None:
        super().__init__()
        self._heads = channels // HEAD_CHANNELS
        with self.name_scope():
            self.qkv = nn.Dense(3 * channels, in_units=channels, flatten=False)
            self.project = projection(channels, channels, first_scale)

    def hybrid_forward(self, F: Any, x: Any) -> Any:  # noqa: N803 - Gluon's name
        """Tokens of the shape of ``x``, ``(B, N, C)``."""
        heads = self._heads
        # (B, 3 heads, N, 64): the queries, keys and values of all heads.
        by_head = F.reshape(self.qkv(x), (0, 0, 3 * heads, HEAD_CHANNELS))
        by_head = F.transpose(by_head, axes=(0, 2, 1, 3))
        query, key, value = (
            F.reshape(F.slice_axis(by_head, axis=1, begin=begin, end=begin + heads), (-3, 0, 0))
            for begin in (0, heads, 2 * heads)
        )
        scores = F.batch_dot(query * HEAD_CHANNELS**-0.5, key, transpose_b=True)
        mixed = F.batch_dot(F.softmax(scores, axis=-1), value)
        mixed = F.transpose(F.reshape(mixed, (-4, -1, heads, 0, 0)), axes=(0, 2, 1, 3))
        return self.project(F.reshape(mixed, (0, 0, -3)))


class TransformerBlock(HybridBlock):
    """Self-attention and an MLP, each with a residual connection."""

    def __init__(self, channels: int, first_scale: Optional[float], drop_path: float) -> None:
        super().__init__()
        self._drop_path = drop_path
        with self.name_scope():
            self.norm1 = layer_norm(channels)
            self.attention = Attention(channels, first_scale)
            self.norm2 = layer_norm(channels)
            self.mlp = Mlp(channels, first_scale)

    def hybrid_forward(self, F: Any, x: Any) -> Any:  # noqa: N803 - Gluon's name
        """Tokens of the shape of ``x``, ``(B, N, C)``."""
        x = x + drop_path(F, self.attention(self.norm1(x)), self._drop_path, axes=3)
        return x + drop_path(F, self.mlp(self.norm2(x)), self._drop_path, axes=3)


class ClassToken(HybridBlock):
    """The class token ``(B, C)`` of tokens ``(B, N, C)``."""

    def hybrid_forward(self, F: Any, x: Any) -> Any:  # noqa: N803 - Gluon's name
        """The first token of each image."""
        return F.reshape(F.slice_axis(x, axis=1, begin=0, end=1), (0, -1))


class VisionTransformer(HybridBlock):
    """A vision transformer from ``(B, 3, crop, crop)`` to logits ``(B, classes)``.

    ``features`` has the embedding, the blocks, and the normalisation of the class token.
    ``last_stage`` is the position there of the first of the last third of the blocks. Raises
    ValueError for a crop that is no multiple of the side of a patch.
    """

    def __init__(
        self, channels: int, variant: Variant, options: NetworkOptions, depth: int = DEPTH
    ) -> None:
        super().__init__()
        if options.crop % PATCH:
            raise ValueError(f"expected a multiple of {PATCH}")
        rates = drop_path_rates(options.drop_path, depth)
        self.last_stage = 1 + math.ceil(depth * 2 / 3)
        with self.name_scope():
            self.features = nn.HybridSequential(prefix="")
            self.features.add(
                Embedding(channels, (options.crop // PATCH) ** 2, variant.token_position),
                *(TransformerBlock(channels, variant.first_scale, rate) for rate in rates),
                ClassToken(),
                layer_norm(channels),
            )
            self.output = nn.Dense(options.classes, in_units=channels)

    def hybrid_forward(self, F: Any, x: Any) -> Any:  # noqa: N803 - Gluon's name
        """Logits of a batch."""
        return self.output(self.features(x))


def _builder(channels: int, variant: Variant) -> Builder:
    return lambda options: VisionTransformer(channels, variant, options)


NETWORKS: dict[str, Builder] = {name: _builder(*size) for name, size in SIZES.items()}
