"""Prepares a kit on a machine with MXNet: networks, its results, images and packages."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import Any, Optional

import numpy as np

from gpu_check.descriptions import save_description
from gpu_check.kit import (
    CLASSES,
    TASK,
    VERSION,
    Kit,
    KitError,
    hash_of,
    network_config,
    random_parameters,
    save_network,
)
from gpu_check.plan import Plan, training_values
from gpu_check.progress import say
from gpu_check.steps import results

SEED = 11
MOST_BYTES = 60 * 2**20
ROOT = Path(__file__).resolve().parent.parent.parent
# What a machine with PyTorch may lack; the rest of what training needs comes with it.
PACKAGES = ["pydantic>=2.5,<3"]


def prepare(folder: Path, plan: Plan, python: Optional[str]) -> None:
    """Write a kit into an empty folder.

    ``python`` is the version of Python for whose packages are stored; None stores none. Raises
    KitError for a folder that is not empty, and for a kit that is too large.
    """
    kit = Kit(folder)
    if folder.exists() and any(folder.iterdir()):
        raise KitError(f"{folder}: not empty, expected a new folder")
    folder.mkdir(parents=True, exist_ok=True)
    if python is not None:
        _store_packages(kit, python)
    _store_photos(kit, plan)
    hashes = {name: _store_network(kit, plan, name) for name in _networks(plan)}
    facts = {
        "version": VERSION,
        "plan": plan.name,
        "seed": SEED,
        "hashes": hashes,
        "python": python,
        **_store_demo(kit, plan),
    }
    kit.facts_file.write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")
    size = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
    if size > MOST_BYTES:
        raise KitError(f"{folder}: {size / 2**20:.0f} MiB, expected at most {MOST_BYTES >> 20}")
    say(f"{folder}: {size / 2**20:.1f} MiB")


def _networks(plan: Plan) -> list[str]:
    return list(dict.fromkeys([*plan.parity_networks, plan.network]))


def _store_packages(kit: Kit, python: str) -> None:
    """Unpack the wheels of packages for Linux on x86-64."""
    say(f"packages for Python {python}: {', '.join(PACKAGES)}")
    with tempfile.TemporaryDirectory() as scratch:
        platforms = [f"--platform=manylinux{kind}_x86_64" for kind in ("2014", "_2_17", "_2_28")]
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--dest", scratch]
        command += ["--only-binary=:all:", f"--python-version={python}", *platforms, *PACKAGES]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            reason = (done.stderr.strip() or "pip failed").splitlines()[-1]
            raise KitError(f"packages cannot be fetched, --packages none does without: {reason}")
        for wheel in sorted(Path(scratch).glob("*.whl")):
            with zipfile.ZipFile(wheel) as archive:
                archive.extractall(kit.packages)


def _store_photos(kit: Kit, plan: Plan) -> None:
    """The images of the measurements of speed; see scripts/bench/measuring/images.py."""
    say(f"{plan.photos} images of {plan.photo_sides[0]} to {plan.photo_sides[1]} pixels")
    sys.path.append(str(ROOT / "scripts/bench"))
    from measuring.images import make_images

    with tempfile.TemporaryDirectory() as scratch:
        files = make_images(Path(scratch), plan.photos, plan.photo_sides)
        shutil.copytree(files[0].parent, kit.folder / "photos")


def _store_network(kit: Kit, plan: Plan, name: str) -> str:
    """Write the description of a network and the results of MXNet; returns its weights' hash."""
    say(f"network {name}")
    from fashionai.files.formats.array_lists import write_array_list

    is_compared = name in plan.parity_networks
    side = plan.parity_side if is_compared else plan.crop
    description = _describe(network_config(name, side, plan.parity_batch), len(CLASSES))
    shapes = {key: values.shape for key, values in description.parameters.items()}
    parameters = random_parameters(shapes, SEED)
    save_network(kit, name, description)
    if is_compared:
        with tempfile.TemporaryDirectory() as scratch:
            file = Path(scratch) / "random.params"
            write_array_list(file, parameters)
            expected = results(lambda c, s: _open_gluon(c, s, file), plan, name)
        kit.expected(name).parent.mkdir(parents=True, exist_ok=True)
        np.savez_compressed(kit.expected(name), **expected)  # type: ignore[arg-type]
    return hash_of(parameters)


def _describe(config: Any, classes: int) -> Any:
    from fashionai.models.describe import describe
    from fashionai.training.gluon.learner import initial_network

    return describe(initial_network(config, classes, [_cpu()], None), config.data.crop)


def _open_gluon(config: Any, samples: Any, pretrained: Optional[Path]) -> Any:
    from fashionai.training.gluon.learner import GluonLearner

    return GluonLearner(config, samples, [_cpu()], pretrained)


def _store_demo(kit: Kit, plan: Plan) -> dict[str, float]:
    """Draw and prepare the demo, describe its network, and train it with MXNet: its mAP."""
    say(f"demo of {plan.demo_images} images, trained with MXNet for {plan.demo_epochs} epochs")
    from fashionai.config import load_config
    from fashionai.demo.data_set import write_demo
    from fashionai.runs import create_run
    from fashionai.training.learners.opening import Opened
    from fashionai.training.trainer import Trainer

    def opener(config: Any, train: Any, contexts: Any, resuming: bool = False, **_: Any) -> Any:
        learner = _open_gluon(config, train, None)
        description = _describe(config, len(train.tasks[0].classes))
        save_description(kit.network("demo"), description)
        return Opened(learner, config, None)

    with tempfile.TemporaryDirectory() as scratch:
        drawn = Path(scratch) / "demo"
        write_demo(drawn, train_per_task=plan.demo_images, test_per_task=1)
        command = [sys.executable, "-m", "fashionai", "prepare", "--task", TASK, "--mode", "copy"]
        command += ["--data", str(drawn), "--out", str(kit.demo)]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, cwd=ROOT)
        values = training_values(plan, str(kit.demo)) | {"engine": "gluon"}
        config = load_config("demo").changed(values)
        trainer = Trainer(config, [_cpu()], opener=opener)
        metrics = trainer.fit(create_run(Path(scratch) / "run"))
    return {"demo_map": float(metrics["best"]["map"])}


def _cpu() -> Any:
    from fashionai.frameworks.mxnet import import_mxnet

    return import_mxnet().cpu()
