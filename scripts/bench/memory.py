"""Peak memory of ``fashionai train`` and ``predict``, compared with plain Gluon loops.

Measures the resident memory of all processes with ResNet-18 v2: training on batches of 32 images,
and prediction of 16 images per batch with ten crops each. The plain training loop does not
validate. ``predict`` chooses its engine in the warm-up, on enough images to measure the engines.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from measuring.comparison import Comparison, Target, run_comparisons
from measuring.images import make_images
from measuring.options import Options, read_options
from measuring.paths import BENCH
from measuring.runs import TASK, fashionai_command, trained_run, write_yaml
from measuring.side import Side
from measuring.workloads import BATCH_SIZE, PREDICTION_BATCH, our_training, peer_training

NETWORK = "resnet18_v2"
# With this many images of ten crops, predict measures the engines before it chooses one.
WARM_UP_IMAGES = 112


def main() -> None:
    """Compare both commands."""
    options = read_options(__doc__, images=64, quick_images=64)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        run_comparisons([training(options, folder), prediction(options, folder)], options)


def training(options: Options, folder: Path) -> Comparison:
    """One epoch; ours also validates."""
    config = our_training(options.cache, options.images, NETWORK, epochs=1)["config"]
    arguments = ("train", "--config", write_yaml(folder / "memory.yaml", config))
    command = fashionai_command(*arguments, "--run", folder / "run", "--overwrite")
    tree = peer_training(options.cache, options.images, NETWORK)["folder"]
    return comparison("train", plain_loop("train", tree, BATCH_SIZE), command, command, folder)


def prediction(options: Options, folder: Path) -> Comparison:
    """Ten-crop prediction for a list of images."""
    images = image_list(options, options.images)
    warm_up_images = image_list(options, options.images if options.quick else WARM_UP_IMAGES)
    path = trained_run(options.cache, NETWORK)
    arguments = ("predict", "--run", path, "--task", TASK, "--batch-size", PREDICTION_BATCH)
    command, warm_up = (
        fashionai_command(*arguments, "--out", folder / "predictions.csv", "--questions", file)
        for file in (images, warm_up_images)
    )
    peer = plain_loop("predict", images, PREDICTION_BATCH)
    return comparison("predict", peer, command, warm_up, folder)


def image_list(options: Options, count: int) -> Path:
    """A text file with the names of the first ``count`` images, one per line."""
    files = make_images(options.cache, count)
    file = files[0].parent / f"first-{count}.txt"
    file.write_text("".join(f"{image.name}\n" for image in files))
    return file


def plain_loop(what: str, images: object, batch_size: int) -> list[str]:
    """The command of the peer, which trains or predicts."""
    script = BENCH / "peers/gluon_plain.py"
    return [sys.executable, *map(str, (script, what, NETWORK, images, batch_size))]


def comparison(
    name: str, theirs: Sequence[str], ours: Sequence[str], warm_up: Sequence[str], folder: Path
) -> Comparison:
    """The comparison for one command; ``warm_up`` is run before ours."""
    script = "measuring/command.py"
    return Comparison(
        f"peak memory of {name}, ResNet-18 v2",
        "MB",
        Target(1.2, at_most=True),
        Side("a plain Gluon loop", script, {"measure": "memory", "command": theirs}),
        Side(
            f"fashionai {name}",
            script,
            {"measure": "memory", "command": ours, "warm_up": warm_up},
            environment={"FASHIONAI_HOME": str(folder / "home")},
        ),
    )


if __name__ == "__main__":
    main()
