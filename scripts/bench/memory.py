"""Peak memory of ``fashionai train`` and ``predict``, over a plain Gluon loop of the same batch.

ResNet-18 v2: training on batches of 32, prediction of 16 images with ten crops at once, resident
memory of all processes. The plain loop does not validate. Images are enough for ``predict`` to
choose the fastest engine, which it measures in the warm-up and remembers.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from harness import HERE, Comparison, Options, Side, Target, read_options, run
from images import TASK, make_images
from runs import fashionai_command, trained_run, write_yaml
from sides import BATCH_SIZE, PREDICTION_BATCH, our_training, peer_training

NETWORK = "resnet18_v2"


def main() -> None:
    """Compare both commands."""
    options = read_options(__doc__, images=112, quick_images=32)
    with tempfile.TemporaryDirectory() as name:
        run([training(options, Path(name)), prediction(options, Path(name))], options)


def training(options: Options, folder: Path) -> Comparison:
    """An epoch of two steps or more, and its validation."""
    images = max(64, options.images // BATCH_SIZE * BATCH_SIZE)
    config = our_training(options.cache, images, NETWORK, epochs=1)["config"]
    words = ("train", "--config", write_yaml(folder / "memory.yaml", config))
    command = fashionai_command(*words, "--run", folder / "run", "--overwrite")
    tree = peer_training(options.cache, images, NETWORK)["folder"]
    return comparison("train", plain("train", tree, BATCH_SIZE), command, folder / "home")


def prediction(options: Options, folder: Path) -> Comparison:
    """Ten crops of a list of images."""
    files = make_images(options.cache, options.images)
    questions = files[0].parent / f"first-{len(files)}.txt"
    questions.write_text("".join(f"{file.name}\n" for file in files))
    path = trained_run(options.cache, NETWORK)
    words = ("predict", "--run", path, "--questions", questions, "--task", TASK)
    size = ("--batch-size", PREDICTION_BATCH)
    command = fashionai_command(*words, "--out", folder / "answers.csv", *size)
    return comparison(
        "predict", plain("predict", questions, PREDICTION_BATCH), command, folder / "home"
    )


def plain(what: str, images: object, batch_size: int) -> list[str]:
    """The command of the peer."""
    script = HERE / "peers/gluon_plain.py"
    return [sys.executable, *map(str, (script, what, NETWORK, images, batch_size))]


def comparison(name: str, theirs: Sequence[str], ours: Sequence[str], home: Path) -> Comparison:
    """The row of a command; ``home`` is where the choice of an engine is remembered."""
    return Comparison(
        f"peak memory of {name}, ResNet-18 v2",
        "MB",
        Target(1.2, at_most=True),
        Side("a plain Gluon loop", "command.py", {"measure": "memory", "command": theirs}),
        Side(
            f"fashionai {name}",
            "command.py",
            {"measure": "memory", "command": ours},
            environment={"FASHIONAI_HOME": str(home)},
        ),
    )


if __name__ == "__main__":
    main()
