"""Compares an exported network with its run before anything is written."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from fashionai.datasets.prepared.samples import read_samples
from fashionai.engines.agreement import TOLERANCE, Agreement, agreement
from fashionai.engines.gluon import open_gluon
from fashionai.engines.guarded import GuardedEngine
from fashionai.engines.protocol import Engine
from fashionai.errors import WeightsError, counted
from fashionai.frameworks.mxnet import import_mxnet
from fashionai.predictions.predict import predict_with_engine
from fashionai.runs import Run

mx = import_mxnet()

MAX_IMAGES, BATCH_SIZE = 64, 16


class Exported(NamedTuple):
    """What an export wrote, and how closely it agrees with the run.

    ``description`` names the network and its format, ``compared_on`` the images that both computed;
    ``agreement`` compares their probabilities.
    """

    folder: Path
    description: str
    compared_on: str
    agreement: Agreement


def check_agreement(run: Run, exported: Exported) -> None:
    """WeightsError when a probability differs from the run's by more than 1e-4, or is NaN."""
    difference = exported.agreement.difference
    if not difference <= TOLERANCE:
        raise WeightsError(
            f"{run}: the probabilities of {exported.description} differ from the run's by up to "
            f"{difference:.2g}, expected at most {TOLERANCE:g}; nothing was written"
        )


def check_on_validation_images(
    run: Run, folder: Path, format_name: str, engine: Engine
) -> Exported:
    """Compare an exported network with gluon on up to 64 validation images, one crop each.

    Raises WeightsError when they disagree, DataError when there are no validation images.
    """
    paths = read_samples(run.config, "val").paths[:MAX_IMAGES]
    own, exported = (
        predict_with_engine(
            GuardedEngine(each, name, run), run, paths, crops=1, batch_size=BATCH_SIZE
        )
        for each, name in ((open_gluon(run, [mx.cpu()]), "gluon"), (engine, format_name))
    )
    result = Exported(
        folder,
        f"{run.config.model.name} in format {format_name}",
        counted(len(paths), "validation image"),
        agreement(own, exported, run.columns),
    )
    check_agreement(run, result)
    return result
