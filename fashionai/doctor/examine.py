"""All checks in their order: cheap ones first, and none that needs what another has not found."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from fashionai.config import Config
from fashionai.doctor.findings import ERROR, OK, SKIPPED, Finding, of_error
from fashionai.doctor.installation import (
    check_device,
    check_gpus,
    check_mxnet,
    check_threads,
    check_versions,
)
from fashionai.errors import FashionAIError
from fashionai.files.default_folders import RUNS_FOLDER
from fashionai.frameworks.driver import describe_gpus


class Plan(NamedTuple):
    """A training that is planned: its configuration, named as train would be, and its place."""

    config: Config
    name: str
    run: Path
    device: str = "auto"
    gpus: Sequence[int] = ()


def examine_machine() -> Iterator[Finding]:
    """The checks that need no configuration."""
    from fashionai.doctor.place import OTHER_FILES, check_disk, check_run_folder

    yield from _installation("auto", ())
    yield check_run_folder(RUNS_FOLDER / "new")
    yield check_disk(RUNS_FOLDER, OTHER_FILES)


def examine(plan: Plan) -> Iterator[Finding]:
    """All checks of a training; those that train come last."""
    from fashionai.doctor.place import check_run_folder

    works = True
    for finding in _installation(plan.device, plan.gpus):
        works = works and not (finding.check in ("mxnet", "device") and finding.verdict == ERROR)
        yield finding
    yield check_run_folder(plan.run)
    if not works:
        yield Finding("training", SKIPPED, "needs what is missing above")
        return
    yield from _examine_training(plan)


def _installation(device: str, gpus: Sequence[int]) -> Iterator[Finding]:
    found = describe_gpus()
    yield check_versions()
    mxnet = check_mxnet()
    yield mxnet
    yield check_threads()
    yield from check_gpus(found)
    yield from check_device(device, gpus, found)
    if mxnet.verdict == OK:
        # Its modules import MXNet.
        from fashionai.doctor.weights import check_weights_at_hand

        yield check_weights_at_hand()


def _examine_training(plan: Plan) -> Iterator[Finding]:
    from fashionai.doctor.data import (
        check_images,
        check_labels,
        check_prepared,
        check_validation,
    )
    from fashionai.doctor.place import bytes_of_run, check_disk
    from fashionai.doctor.training import check_overfit, check_steps
    from fashionai.doctor.weights import check_weights
    from fashionai.frameworks.choice import choose_devices, one_of
    from fashionai.training.learners.engine_choice import wanted_engine

    config = plan.config
    weights = check_weights(config, plan.name)
    yield weights
    prepared, splits = check_prepared(config)
    yield prepared
    if splits is None:
        yield Finding("training", SKIPPED, "needs the prepared folder")
        return
    images = check_images(splits)
    yield images
    yield from check_validation(splits, plan.name)
    yield from check_labels(splits, f"fashionai preview --config {plan.name}")
    if images.verdict == ERROR:
        yield Finding("training", SKIPPED, "needs images that can be decoded")
        return
    try:
        chosen = choose_devices(wanted_engine(config), plan.device, list(plan.gpus))
    except FashionAIError as error:
        yield of_error("device", error)
        return
    contexts, has_weights = one_of(chosen), weights.verdict == OK
    config = config.changed({"engine": chosen.engine})
    measured = check_steps(config, splits, contexts, has_weights)
    yield measured.finding
    if measured.finding.verdict == ERROR:
        return
    adam, averaged = config.optimizer.name.startswith("adam"), config.ema is not None
    yield check_disk(plan.run, bytes_of_run(measured.parameter_bytes, adam=adam, averaged=averaged))
    yield check_overfit(config, splits, contexts, has_weights, plan.name)
