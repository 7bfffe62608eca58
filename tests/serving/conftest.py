"""A server of a run that tells skirts apart."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from fashionai.frameworks.mxnet import import_mxnet
from fashionai.runs import Run
from fashionai.serving.app import create_app
from fashionai.serving.service import Service, Settings
from tests.support.trained_runs import images_to_predict
from tests.support.web_server import LIMITS, running

mx = import_mxnet()


@pytest.fixture(scope="session")
def run(trained_cnn: Path) -> Run:
    return Run.open(trained_cnn)


@pytest.fixture(scope="session")
def service(run: Run) -> Iterator[Service]:
    service = Service(run, Settings([mx.cpu()], 1, 8, "gluon"), LIMITS)
    yield service
    service.close()


@pytest.fixture(scope="session")
def address(service: Service) -> Iterator[str]:
    with running(create_app(service, names=("127.0.0.1",))) as address:
        yield address


@pytest.fixture(scope="session")
def photographs(trained: Path) -> list[Path]:
    return images_to_predict(trained)
