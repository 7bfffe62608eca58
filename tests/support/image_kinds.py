"""Files of one picture in each way in which files store colours, transparency and orientation."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image


def image_files(folder: Path) -> dict[str, Path]:
    """An image in each way in which files store colours, transparency and orientation."""
    rng = np.random.default_rng(5)
    coarse = Image.fromarray(rng.integers(0, 256, (5, 7, 3), np.uint8))
    photograph = coarse.resize((70, 50), Image.Resampling.BICUBIC)
    tags = Image.Exif()
    tags[0x0112] = 6
    layered = photograph.copy()
    layered.putalpha(coarse.convert("L").resize((70, 50)))
    images = {
        "turned.jpg": (photograph, {"exif": tags}),
        "cmyk.jpg": (photograph.convert("CMYK"), {}),
        "turned.png": (photograph, {"exif": tags}),
        "grey.png": (photograph.convert("L"), {}),
        "rgba.png": (layered, {}),
        "grey_alpha.png": (layered.convert("LA"), {}),
        "palette.png": (photograph.quantize(30), {}),
        "transparent_palette.png": (photograph.quantize(4), {"transparency": 1}),
        "transparent_colour.png": (coarse.resize((70, 50), 0), {"transparency": (0, 0, 0)}),
        "photograph.webp": (photograph, {}),
        "layered.webp": (layered, {}),
        "photograph.bmp": (photograph, {}),
    }
    for name, (image, options) in images.items():
        image.save(folder / name, **options)
    return {name: folder / name for name in images}
