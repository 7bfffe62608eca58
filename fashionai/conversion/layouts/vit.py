"""Layer names of vision transformers."""

from __future__ import annotations

from fashionai.conversion.names import Layout, table

_LAYERS = table(
    [
        ("features.0.patches", "patch_embed.proj"),
        (
            "features.{1..12}.{norm1,attention.qkv,attention.project,norm2,mlp.expand,mlp.project}",
            "blocks.{0..11}.{norm1,attn.qkv,attn.proj,norm2,mlp.fc1,mlp.fc2}",
        ),
        ("{features.14,output}", "{norm,head}"),
    ]
)
_EMBEDDINGS = ("features.0.{class_token,positions}", "{cls_token,pos_embed}")
_SCALES = ("features.{1..12}.{attention,mlp}.project.scale", "blocks.{0..11}.{ls1,ls2}.gamma")


def _vit(size: str) -> list[Layout]:
    name = f"vit_{size}_patch16_224"
    return [Layout("timm", name, _LAYERS, parameters=table([_EMBEDDINGS]))]


def _deit3(size: str) -> list[Layout]:
    name = f"deit3_{size}_patch16_224"
    return [Layout("timm", name, _LAYERS, parameters=table([_EMBEDDINGS, _SCALES]))]


LAYOUTS: dict[str, list[Layout]] = {
    "vit_tiny": _vit("tiny"),
    "vit_small": _vit("small"),
    "vit_base": _vit("base"),
    "deit3_small": _deit3("small"),
    "deit3_base": _deit3("base"),
}
