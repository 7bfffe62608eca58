"""A table of all networks: size, cost, published accuracy and published weights.

Computing the numbers takes the import of MXNet and ten seconds. The tests compute
them and compare.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple, Optional

from fashionai.errors import ConfigError, closest


class Network(NamedTuple):
    """A network that ``model.name`` accepts.

    ``pixels`` is the side of the images that the network was made for.
    ``parameters`` is the number of values in all arrays, including the statistics
    of batch normalisation. ``operations`` is the number of multiply-accumulates of
    convolutions, dense layers and the products of attention for one image of this
    size. Both are for 1,000 classes, with these exceptions: 10 for small_cnn and the
    networks for CIFAR-10, 33 for logos_cnn, 2 for covers_lenet and covers_alexnet.

    ``weights`` is the beginning of the SHA-1 of the zoo's published weights, empty
    if there are none. ``top1`` is the published ImageNet accuracy of these weights,
    in [0, 1], at the image size that their authors chose; None if unknown. Sources:
    the page "Gluon Model Zoo" of MXNet 1.5, and for all other networks GluonCV's
    page of classification models.
    """

    name: str
    pixels: int
    parameters: int
    operations: int
    top1: Optional[float]
    weights: str


# The networks of this project come first, then those of the zoos by name.
CATALOGUE = (
    Network("covers_alexnet", 240, 58_289_538, 1_176_773_760, None, ""),
    Network("covers_lenet", 240, 5_109_311, 1_514_199_432, None, ""),
    Network("efficientnet_b0", 224, 5_330_564, 385_814_752, None, ""),
    Network("efficientnet_b1", 240, 7_856_232, 686_802_832, None, ""),
    Network("efficientnet_b2", 288, 9_177_562, 1_087_529_456, None, ""),
    Network("efficientnet_b3", 320, 12_320_528, 1_961_176_448, None, ""),
    Network("efficientnet_b4", 384, 19_466_816, 4_409_549_152, None, ""),
    Network("efficientnet_lite0", 224, 4_694_024, 385_187_552, None, ""),
    Network("efficientnet_lite1", 240, 5_470_344, 600_185_232, None, ""),
    Network("efficientnet_lite2", 260, 6_150_168, 859_736_272, None, ""),
    Network("efficientnet_lite3", 300, 8_273_768, 1_607_554_544, None, ""),
    Network("efficientnet_lite4", 380, 13_118_936, 3_943_564_112, None, ""),
    Network("efficientnetv2_b0", 224, 7_200_312, 718_086_176, None, ""),
    Network("efficientnetv2_b3", 300, 14_467_622, 3_011_458_816, None, ""),
    Network("efficientnetv2_s", 384, 21_612_360, 8_365_617_152, None, ""),
    Network("logos_cnn", 224, 79_278_433, 403_422_336, None, ""),
    Network("small_cnn", 32, 428_266, 38_634_752, None, ""),
    Network("convnext_atto", 224, 3_695_520, 547_332_480, None, ""),
    Network("convnext_pico", 224, 9_045_672, 1_367_055_360, None, ""),
    Network("convnext_nano", 224, 15_593_560, 2_445_528_320, None, ""),
    Network("convnext_tiny", 224, 28_589_128, 4_455_531_264, None, ""),
    Network("convnext_small", 224, 50_223_688, 8_683_712_256, None, ""),
    Network("convnext_base", 224, 88_591_464, 15_354_729_472, None, ""),
    Network("vit_tiny", 224, 5_717_416, 1_253_683_200, None, ""),
    Network("vit_small", 224, 22_050_664, 4_598_882_304, None, ""),
    Network("vit_base", 224, 86_567_656, 17_563_828_224, None, ""),
    Network("deit3_small", 224, 22_059_496, 4_598_882_304, None, ""),
    Network("deit3_base", 224, 86_585_320, 17_563_828_224, None, ""),
    Network("alexnet", 224, 61_100_840, 714_188_480, 0.5492, "44335d1f"),
    Network("cifar_residualattentionnet56", 32, 7_235_690, 694_396_928, None, ""),
    Network("cifar_residualattentionnet92", 32, 12_231_786, 1_089_185_792, None, ""),
    Network("cifar_residualattentionnet452", 32, 41_920_874, 4_268_206_080, None, ""),
    Network("cifar_resnet20_v1", 32, 274_042, 40_813_184, None, "121e1579"),
    Network("cifar_resnet20_v2", 32, 273_670, 40_813_184, None, "4f2d1880"),
    Network("cifar_resnet56_v1", 32, 860_026, 125_747_840, None, "2fb251e6"),
    Network("cifar_resnet56_v2", 32, 859_654, 125_747_840, None, "0a3e7410"),
    Network("cifar_resnet110_v1", 32, 1_739_002, 253_149_824, None, "a0e1f860"),
    Network("cifar_resnet110_v2", 32, 1_738_630, 253_149_824, None, "bf160f8b"),
    Network("cifar_resnext29_16x64d", 32, 68_255_690, 10_688_866_304, None, "e8ff9f4f"),
    Network("cifar_resnext29_32x4d", 32, 4_800_970, 774_055_936, None, ""),
    Network("cifar_wideresnet16_10", 32, 17_125_702, 2_412_173_568, None, "7c07b5ba"),
    Network("cifar_wideresnet28_10", 32, 36_497_222, 5_243_328_768, None, "4a3466aa"),
    Network("cifar_wideresnet40_8", 32, 35_769_926, 5_172_024_320, None, "085ca2af"),
    Network("darknet53", 224, 41_645_640, 7_109_156_864, 0.7856, "2189ea49"),
    Network("densenet121", 224, 8_062_504, 2_834_161_664, 0.7497, "f27dbf2d"),
    Network("densenet161", 224, 28_900_936, 7_727_907_072, 0.7770, "b6c8a957"),
    Network("densenet169", 224, 14_307_880, 3_359_843_328, 0.7617, "2603f878"),
    Network("densenet201", 224, 20_242_984, 4_291_365_888, 0.7732, "1cdbc116"),
    Network("dla34", 224, 16_253_592, 3_060_539_776, None, "5fd8d651"),
    Network("googlenet", 224, 6_639_464, 1_498_376_192, 0.7287, "c7c89366"),
    Network("inceptionv3", 299, 23_869_000, 5_713_216_096, 0.7755, "ed47ec45"),
    Network("mobilenet0.25", 224, 475_544, 41_030_272, 0.5185, "9f83e440"),
    Network("mobilenet0.5", 224, 1_342_536, 149_497_088, 0.6307, "8e9d539c"),
    Network("mobilenet0.75", 224, 2_601_976, 325_400_448, 0.6738, "529b2c7f"),
    Network("mobilenet1.0", 224, 4_253_864, 568_740_352, 0.7105, "6b8c5106"),
    Network("mobilenetv2_0.25", 224, 1_526_856, 30_480_864, 0.5074, "ae8f9392"),
    Network("mobilenetv2_0.5", 224, 1_983_104, 92_271_040, 0.6449, "aabd26cd"),
    Network("mobilenetv2_0.75", 224, 2_653_864, 186_650_528, 0.6961, "e2be7b72"),
    Network("mobilenetv2_1.0", 224, 3_539_136, 313_619_328, 0.7192, "36da4ff1"),
    Network("mobilenetv3_large", 224, 5_506_152, 216_589_760, 0.7532, "eaa44578"),
    Network("mobilenetv3_small", 224, 2_957_400, 56_913_856, None, "10430433"),
    Network("residualattentionnet56", 224, 31_883_432, 6_270_836_736, None, ""),
    Network("residualattentionnet92", 224, 52_599_976, 10_533_789_696, None, ""),
    Network("residualattentionnet128", 224, 65_476_776, 14_899_101_696, None, ""),
    Network("residualattentionnet164", 224, 78_353_576, 19_264_413_696, None, ""),
    Network("residualattentionnet200", 224, 91_230_376, 23_629_725_696, None, ""),
    Network("residualattentionnet236", 224, 104_107_176, 27_995_037_696, None, ""),
    Network("residualattentionnet452", 224, 182_922_920, 44_386_131_968, None, ""),
    Network("resnest14", 224, 10_634_024, 2_749_405_184, 0.7575, "7e0b0cae"),
    Network("resnest26", 224, 17_106_184, 3_623_391_232, 0.7868, "36459074"),
    Network("resnest50", 224, 27_547_816, 5_371_160_576, 0.8104, "bcfefe1d"),
    Network("resnest101", 224, 48_405_128, 10_200_565_760, 0.8283, "5da943b3"),
    Network("resnest200", 224, 70_419_976, 17_408_411_648, 0.8386, "0c5d117d"),
    Network("resnest269", 224, 111_243_912, 22_434_121_728, 0.8453, "11ae7f5d"),
    Network("resnet18_v1", 224, 11_699_112, 1_814_073_344, 0.7093, "a0666292"),
    Network("resnet18_v1b", 224, 11_699_112, 1_814_073_344, 0.7094, "2d9d980c"),
    Network("resnet18_v2", 224, 11_695_796, 1_814_073_344, 0.7100, "a81db45f"),
    Network("resnet34_v1", 224, 21_814_696, 3_663_761_408, 0.7437, "48216ba9"),
    Network("resnet34_v1b", 224, 21_814_696, 3_663_761_408, 0.7465, "8e16b848"),
    Network("resnet34_v2", 224, 21_811_380, 3_663_761_408, 0.7440, "9d6b80bb"),
    Network("resnet50_v1", 224, 25_629_032, 3_857_973_248, 0.7647, "0aee57f9"),
    Network("resnet50_v1b", 224, 25_610_152, 4_089_184_256, 0.7767, "0ecdba34"),
    Network("resnet50_v1c", 224, 25_629_512, 4_328_824_832, 0.7803, "2a4e0708"),
    Network("resnet50_v1d", 224, 25_629_512, 4_328_824_832, 0.7915, "117a384e"),
    Network("resnet50_v1e", 224, 25_734_312, 5_444_337_664, None, ""),
    Network("resnet50_v1s", 224, 25_734_312, 5_444_337_664, None, "25a187fa"),
    Network("resnet50_v2", 224, 25_595_060, 4_089_184_256, 0.7711, "ecdde353"),
    Network("resnet101_v1", 224, 44_695_144, 7_570_194_432, 0.7834, "d988c13d"),
    Network("resnet101_v1b", 224, 44_654_504, 7_801_405_440, 0.7920, "a455932a"),
    Network("resnet101_v1c", 224, 44_673_864, 8_041_046_016, 0.7960, "064858f2"),
    Network("resnet101_v1d", 224, 44_673_864, 8_041_046_016, 0.8051, "1b2b825f"),
    Network("resnet101_v1e", 224, 44_778_664, 9_156_558_848, None, ""),
    Network("resnet101_v1s", 224, 44_778_664, 9_156_558_848, None, "bd93a83c"),
    Network("resnet101_v2", 224, 44_639_412, 7_801_405_440, 0.7853, "18e93e4f"),
    Network("resnet152_v1", 224, 60_404_072, 11_282_415_616, 0.7900, "671c637a"),
    Network("resnet152_v1b", 224, 60_344_232, 11_513_626_624, 0.7969, "a5a61ee1"),
    Network("resnet152_v1c", 224, 60_363_592, 11_753_267_200, 0.8001, "75babab6"),
    Network("resnet152_v1d", 224, 60_363_592, 11_753_267_200, 0.8061, "cddbc86f"),
    Network("resnet152_v1e", 224, 60_468_392, 12_868_780_032, None, ""),
    Network("resnet152_v1s", 224, 60_468_392, 12_868_780_032, None, "cf74621d"),
    Network("resnet152_v2", 224, 60_329_140, 11_513_626_624, 0.7921, "f2695542"),
    Network("resnext50_32x4d", 224, 25_097_128, 4_230_479_872, 0.7932, "4ecf62e2"),
    Network("resnext101_32x4d", 224, 44_315_560, 7_969_996_800, 0.8037, "8654ca5d"),
    Network("resnext101_64x4d", 224, 83_658_152, 15_460_270_080, 0.8069, "2f0d1c9d"),
    Network("se_resnet18_v1", 224, 11_786_152, 1_814_160_384, None, ""),
    Network("se_resnet18_v2", 224, 11_782_836, 1_814_160_384, None, ""),
    Network("se_resnet34_v1", 224, 21_971_880, 3_663_918_592, None, ""),
    Network("se_resnet34_v2", 224, 21_968_564, 3_663_918_592, None, ""),
    Network("se_resnet50_v1", 224, 28_143_976, 3_860_488_192, None, ""),
    Network("se_resnet50_v2", 224, 28_110_004, 4_091_699_200, None, ""),
    Network("se_resnet101_v1", 224, 49_438_312, 7_574_937_600, None, ""),
    Network("se_resnet101_v2", 224, 49_382_580, 7_806_148_608, None, ""),
    Network("se_resnet152_v1", 224, 66_982_248, 11_288_993_792, None, ""),
    Network("se_resnet152_v2", 224, 66_907_316, 11_520_204_800, None, ""),
    Network("se_resnext50_32x4d", 224, 27_628_120, 4_232_994_816, 0.7995, "7906e0e1"),
    Network("se_resnext101_32x4d", 224, 49_093_272, 7_974_739_968, 0.8091, "688e2389"),
    Network("se_resnext101_64x4d", 224, 88_435_864, 15_465_013_248, 0.8101, "11c50114"),
    Network("senet_154", 224, 115_336_536, 20_688_363_520, 0.8126, "b5538ef1"),
    Network("senet_154e", 224, 93_316_440, 18_222_112_768, None, ""),
    Network("shufflenet_v1", 224, 1_850_242, 127_061_304, None, ""),
    Network("shufflenet_v2", 224, 2_294_784, 144_907_992, None, ""),
    Network("squeezenet1.0", 224, 1_248_424, 818_924_576, 0.5611, "264ba497"),
    Network("squeezenet1.1", 224, 1_235_496, 349_151_936, 0.5496, "33ba0f93"),
    Network("vgg11", 224, 132_863_336, 7_609_090_048, 0.6662, "dd221b16"),
    Network("vgg11_bn", 224, 132_874_344, 7_609_090_048, 0.6859, "ee79a809"),
    Network("vgg13", 224, 133_047_848, 11_308_466_176, 0.6774, "6bc5de58"),
    Network("vgg13_bn", 224, 133_059_624, 11_308_466_176, 0.6884, "7d97a06c"),
    Network("vgg16", 224, 138_357_544, 15_470_264_320, 0.7323, "e660d456"),
    Network("vgg16_bn", 224, 138_374_440, 15_470_264_320, 0.7310, "7f01cf05"),
    Network("vgg19", 224, 143_667_240, 19_632_062_464, 0.7411, "ad2f660d"),
    Network("vgg19_bn", 224, 143_689_256, 19_632_062_464, 0.7433, "f360b758"),
    Network("xception", 224, 40_101_512, 7_500_256_928, 0.7956, "37c1c90b"),
    Network("xception71", 224, 42_467_824, 4_047_270_696, None, ""),
)


# How many times as long training takes per multiply-accumulate as with ResNets, by the beginning of
# a network's name; the first one that fits counts. Measured on the CPU at 224 pixels for
# MobileNetV2, MobileNet, EfficientNet-Lite0 and B0, ConvNeXt and ViT; similar networks are taken to
# be like them.
OPERATION_COSTS = {
    "mobilenetv2": 5,
    "mobilenetv": 8,
    "mobilenet": 2,
    "efficientnet_lite": 5,
    "efficientnet": 8,
    "shufflenet": 8,
    "xception": 2,
    "convnext": 6,
    "vit": 4,
    "deit3": 4,
}
# The relative cost that 2 cores train per second.
COST_PER_SECOND = 50e9


def find_network(name: str) -> Network:
    """The network of that name. Raises ConfigError, with the nearest name, if it is unknown."""
    for network in CATALOGUE:
        if network.name == name:
            return network
    raise _unknown_network(name)


def find_networks(names: Sequence[str] = ()) -> list[Network]:
    """The networks that have these names or begin with them; without ``names`` all networks.

    Raises ConfigError, with the nearest name or common beginning of names, if a name matches no
    network.
    """
    found: dict[Network, None] = {}
    for name in names:
        exact = [network for network in CATALOGUE if network.name == name]
        matches = exact or [network for network in CATALOGUE if network.name.startswith(name)]
        if not matches or not name:
            raise _unknown_network(name, _beginnings())
        found.update(dict.fromkeys(matches))
    return list(found) if names else list(CATALOGUE)


def relative_cost(name: str, crop: int) -> float:
    """How long training on the CPU takes per image of ``crop`` pixels, in a ResNet's operations."""
    factors = [factor for start, factor in OPERATION_COSTS.items() if name.startswith(start)]
    network = find_network(name)
    return network.operations * (crop / network.pixels) ** 2 * (factors[0] if factors else 1)


def closest_network(name: str, choices: Sequence[str]) -> Optional[str]:
    """The name of a network most similar to ``name``; None if none is similar.

    The version at the end of a name counts less than what is before it: resnet19 is closer to
    resnet18_v1 than to resnest14.
    """
    by_stem: dict[str, str] = {}
    for choice in choices:
        by_stem.setdefault(choice.partition("_")[0], choice)
    found = closest(name, [*choices, *by_stem])
    if found is None or found in choices:
        return found
    return by_stem[found]


def _beginnings() -> list[str]:
    """What the names of networks of a family begin with, such as mobilenet and mobilenetv2."""
    stems = dict.fromkeys(network.name.partition("_")[0] for network in CATALOGUE)
    families = (re.sub(r"v?[0-9].*", "", stem) for stem in stems)
    return list(dict.fromkeys([*families, *stems]))


def _unknown_network(name: str, beginnings: Sequence[str] = ()) -> ConfigError:
    names = [network.name for network in CATALOGUE]
    meant = closest(name, [*names, *beginnings]) if beginnings else closest_network(name, names)
    return ConfigError(
        f"unknown network '{name}'",
        f"Did you mean '{meant}'?" if meant else "Run fashionai models for a list of all networks",
    )
