"""Peak memory of ``fashionai train`` and ``predict``, over a plain Gluon loop of the same batch.

ResNet-18 v2: training on batches of 32, prediction of 16 images with ten crops at once, resident
memory of all processes. The plain loop does not validate. ``predict`` chooses its engine in the
warm-up, on images that are enough for it to measure which one is the fastest.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from harness import HERE, Comparison, Options, Side, Target, read_options, run
from images import TASK, make_images
from sides import BATCH_SIZE, PREDICTION_BATCH, our_training, peer_training
from trained_runs import fashionai_command, trained_run, write_yaml

NETWORK = "resnet18_v2"
# Images with ten crops each of which predict measures engines first.
ENOUGH = 112


def main() -> None:
    """Compare both commands."""
    options = read_options(__doc__, images=64, quick_images=64)
    with tempfile.TemporaryDirectory() as name:
        run([training(options, Path(name)), prediction(options, Path(name))], options)


def training(options: Options, folder: Path) -> Comparison:
    """An epoch, and its validation."""
    config = our_training(options.cache, options.images, NETWORK, epochs=1)["config"]
    words = ("train", "--config", write_yaml(folder / "memory.yaml", config))
    command = fashionai_command(*words, "--run", folder / "run", "--overwrite")
    tree = peer_training(options.cache, options.images, NETWORK)["folder"]
    return comparison("train", plain("train", tree, BATCH_SIZE), command, command, folder)


def prediction(options: Options, folder: Path) -> Comparison:
    """Ten crops of a list of images."""
    few, enough = (
        listing(options, count)
        for count in (options.images, options.images if options.quick else ENOUGH)
    )
    path = trained_run(options.cache, NETWORK)
    words = ("predict", "--run", path, "--task", TASK, "--batch-size", PREDICTION_BATCH)
    command, warm_up = (
        fashionai_command(*words, "--out", folder / "answers.csv", "--questions", questions)
        for questions in (few, enough)
    )
    return comparison("predict", plain("predict", few, PREDICTION_BATCH), command, warm_up, folder)


def listing(options: Options, count: int) -> Path:
    """A list of so many images."""
    files = make_images(options.cache, count)
    file = files[0].parent / f"first-{count}.txt"
    file.write_text("".join(f"{image.name}\n" for image in files))
    return file


def plain(what: str, images: object, batch_size: int) -> list[str]:
    """The command of the peer."""
    script = HERE / "peers/gluon_plain.py"
    return [sys.executable, *map(str, (script, what, NETWORK, images, batch_size))]


def comparison(
    name: str, theirs: Sequence[str], ours: Sequence[str], warm_up: Sequence[str], folder: Path
) -> Comparison:
    """The row of a command."""
    return Comparison(
        f"peak memory of {name}, ResNet-18 v2",
        "MB",
        Target(1.2, at_most=True),
        Side("a plain Gluon loop", "command.py", {"measure": "memory", "command": theirs}),
        Side(
            f"fashionai {name}",
            "command.py",
            {"measure": "memory", "command": ours, "warm_up": warm_up},
            environment={"FASHIONAI_HOME": str(folder / "home")},
        ),
    )


if __name__ == "__main__":
    main()
