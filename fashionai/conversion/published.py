"""Published ImageNet weights that can be converted, and the preprocessing each was trained with."""

from __future__ import annotations

from dataclasses import dataclass

RGB = tuple[float, float, float]

IMAGENET_MEAN: RGB = (0.485, 0.456, 0.406)
IMAGENET_STD: RGB = (0.229, 0.224, 0.225)
HALF: RGB = (0.5, 0.5, 0.5)


@dataclass(frozen=True)
class PublishedWeights:
    """Published weights that fit a Gluon network.

    ``model`` is Gluon's name of the network. ``library`` is timm or torchvision.
    ``name`` is a tag of timm, whose weights are the file ``model.safetensors`` of
    the repository ``timm/<name>`` on the Hugging Face hub, or a file name of
    torchvision, which contains the first eight digits of the file's SHA-256.

    The input is ``(x - mean) / std`` for RGB values x in [0, 1]. The centre crop of
    224 pixels is ``crop_fraction`` of the short side, which is resized with
    ``interpolation``.
    """

    model: str
    library: str
    name: str
    mean: RGB = IMAGENET_MEAN
    std: RGB = IMAGENET_STD
    crop_fraction: float = 0.875
    interpolation: str = "bilinear"


def published_weights(model: str) -> list[PublishedWeights]:
    """The published weights of a Gluon network, the most accurate first; may be empty."""
    return [weights for weights in PUBLISHED_WEIGHTS if weights.model == model]


# By Gluon's name: the tag, crop_fraction and interpolation.
_TIMM = {
    "resnet18_v1b": ("resnet18.a1_in1k", 0.95, "bicubic"),
    "resnet34_v1b": ("resnet34.a1_in1k", 0.95, "bicubic"),
    "resnet50_v1b": ("resnet50.tv2_in1k", 0.965, "bilinear"),
    "resnet101_v1b": ("resnet101.tv2_in1k", 0.965, "bilinear"),
    "resnet152_v1b": ("resnet152.tv2_in1k", 0.965, "bilinear"),
    "mobilenetv2_1.0": ("mobilenetv2_100.ra_in1k", 0.875, "bicubic"),
    "densenet121": ("densenet121.ra_in1k", 0.875, "bicubic"),
    "densenet161": ("densenet161.tv_in1k", 0.875, "bicubic"),
    "densenet169": ("densenet169.tv_in1k", 0.875, "bicubic"),
    "densenet201": ("densenet201.tv_in1k", 0.875, "bicubic"),
    "vgg11": ("vgg11.tv_in1k", 0.875, "bilinear"),
    "vgg11_bn": ("vgg11_bn.tv_in1k", 0.875, "bilinear"),
    "vgg13": ("vgg13.tv_in1k", 0.875, "bilinear"),
    "vgg13_bn": ("vgg13_bn.tv_in1k", 0.875, "bilinear"),
    "vgg16": ("vgg16.tv_in1k", 0.875, "bilinear"),
    "vgg16_bn": ("vgg16_bn.tv_in1k", 0.875, "bilinear"),
    "vgg19": ("vgg19.tv_in1k", 0.875, "bilinear"),
    "vgg19_bn": ("vgg19_bn.tv_in1k", 0.875, "bilinear"),
}
# The same for weights trained with mean and standard deviation 0.5.
_TIMM_HALF = {
    "resnet18_v2": ("resnetv2_18.ra4_e3600_r224_in1k", 0.9, "bicubic"),
    "resnet34_v2": ("resnetv2_34.ra4_e3600_r224_in1k", 0.9, "bicubic"),
    "resnet50_v2": ("resnetv2_50.a1h_in1k", 0.95, "bicubic"),
    "resnet101_v2": ("resnetv2_101.a1h_in1k", 0.95, "bicubic"),
}
# By Gluon's name: the file and the short side in pixels to which images are resized.
_TORCHVISION = {
    "resnet18_v1b": ("resnet18-f37072fd.pth", 256),
    "resnet34_v1b": ("resnet34-b627a593.pth", 256),
    "resnet50_v1b": ("resnet50-11ad3fa6.pth", 232),
    "resnet101_v1b": ("resnet101-cd907fc2.pth", 232),
    "resnet152_v1b": ("resnet152-f82ba261.pth", 232),
    "mobilenetv2_1.0": ("mobilenet_v2-7ebf99e0.pth", 232),
    "densenet121": ("densenet121-a639ec97.pth", 256),
    "densenet161": ("densenet161-8d451a50.pth", 256),
    "densenet169": ("densenet169-b2777c0a.pth", 256),
    "densenet201": ("densenet201-c1103571.pth", 256),
    "vgg11": ("vgg11-8a719046.pth", 256),
    "vgg11_bn": ("vgg11_bn-6002323d.pth", 256),
    "vgg13": ("vgg13-19584684.pth", 256),
    "vgg13_bn": ("vgg13_bn-abd245e5.pth", 256),
    "vgg16": ("vgg16-397923af.pth", 256),
    "vgg16_bn": ("vgg16_bn-6c64b313.pth", 256),
    "vgg19": ("vgg19-dcbb9e9d.pth", 256),
    "vgg19_bn": ("vgg19_bn-c79401a0.pth", 256),
    "alexnet": ("alexnet-owt-7be5be79.pth", 256),
    "squeezenet1.0": ("squeezenet1_0-b66bff10.pth", 256),
    "squeezenet1.1": ("squeezenet1_1-b8a52dc0.pth", 256),
}
PUBLISHED_WEIGHTS = [
    *(
        PublishedWeights(model, "timm", name, mean, std, fraction, interpolation)
        for table, mean, std in ((_TIMM, IMAGENET_MEAN, IMAGENET_STD), (_TIMM_HALF, HALF, HALF))
        for model, (name, fraction, interpolation) in table.items()
    ),
    *(
        PublishedWeights(model, "torchvision", name, crop_fraction=224 / short)
        for model, (name, short) in _TORCHVISION.items()
    ),
]
