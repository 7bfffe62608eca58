"""A training as an MLflow run, on the tracking server of MLflow's own settings."""

from __future__ import annotations

import contextlib
import logging
import os
import re
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Optional, TypeVar

import cv2
import mlflow
from mlflow import MlflowClient
from mlflow.entities import Metric, Param
from mlflow.exceptions import MlflowException

from fashionai.config import Config, shown_keys
from fashionai.errors import RunError, TrainingError
from fashionai.files import write_json
from fashionai.files.formats.json_files import read_json
from fashionai.runs import MLFLOW_FILE, Run, RunFolder
from fashionai.tracking.pictures import pictures
from fashionai.tracking.scalars import curves_of
from fashionai.training.records.history import EpochRow

log = logging.getLogger(__name__)

EXPERIMENT = "fashionai"
# Without a server: a database in the current folder, where `mlflow ui` finds it.
DATABASE = "mlflow.db"
# The most metrics and parameters that MLflow takes at once, and characters of a parameter.
MOST_METRICS, MOST_PARAMETERS, LONGEST_VALUE = 1000, 100, 500
# How often a request that fails is repeated, a few seconds later, at both ends of a training. The
# next epoch writes what this one could not write.
RETRIES = 2
# A user and a password in an address, as in http://user:password@host.
CREDENTIALS = re.compile(r"(?<=://)[^/?#\s]*@")

Item = TypeVar("Item")


class MlflowLog:
    """Writes one MLflow run for a run, and goes on with it when the run is resumed.

    Which epochs the MLflow run has is read when a training begins: only others are written. A
    server that fails later does not end the training, and delays an epoch by some seconds at most;
    the next epoch tries again.
    """

    def begin(self, run: RunFolder, config: Config) -> None:
        """Find the MLflow run of a run that is resumed, or begin one."""
        self._run, self._config, self._file = run, config, run.path / MLFLOW_FILE
        self._rows: Sequence[EpochRow] = []
        # The steps of each curve that the MLflow run has; read when the curve is first written.
        self._steps: dict[str, set[int]] = {}
        is_known = self._file.is_file()
        try:
            with _retrying(RETRIES):
                if is_known:
                    self._find_run()
                else:
                    self._create_run()
        except MlflowException as error:
            instead = f"delete {self._file} to begin another MLflow run, " if is_known else ""
            raise TrainingError(
                f"{run}: MLflow does not take the run: {_first_line(error)}",
                f"Set MLFLOW_TRACKING_URI, {instead}or leave mlflow out of log",
            ) from None

    def _create_run(self) -> None:
        """Create the MLflow run with the configuration as parameters."""
        address = _given_address() or f"sqlite:///{Path(DATABASE).absolute()}"
        self._client = client = MlflowClient(tracking_uri=address)
        found = client.get_experiment_by_name(EXPERIMENT)
        experiment = found.experiment_id if found else client.create_experiment(EXPERIMENT)
        created = client.create_run(experiment, run_name=self._run.path.name)
        self._id = created.info.run_id
        values = shown_keys(self._config).items()
        parameters = [Param(name, value[:LONGEST_VALUE]) for name, value in values]
        try:
            for part in _parts(parameters, MOST_PARAMETERS):
                client.log_batch(self._id, params=part)
        except MlflowException:
            # The next training creates another one.
            self.end_early(failed=True)
            raise
        self._write_file(address)

    def _find_run(self) -> None:
        """Open the MLflow run that an earlier process has created; its server may have moved."""
        try:
            content = read_json(self._file)
            self._id, known = str(content["run_id"]), str(content["tracking_uri"])
        except (OSError, ValueError, TypeError, KeyError):
            raise RunError(
                f"{self._file}: damaged", "Delete it to begin another MLflow run"
            ) from None
        given = _given_address() or known
        try:
            self._go_on_at(given)
        except MlflowException:
            if _without_credentials(given) == known:
                raise
            # The address that is set may be that of other work.
            self._go_on_at(known)

    def _go_on_at(self, address: str) -> None:
        self._client = MlflowClient(tracking_uri=address)
        self._client.update_run(self._id, status="RUNNING")
        self._write_file(address)

    def _write_file(self, address: str) -> None:
        """Write which MLflow run the run is, without a password: runs are handed on."""
        content = {"run_id": self._id, "tracking_uri": _without_credentials(address)}
        write_json(self._file, content)

    def observe(self, rows: Sequence[EpochRow]) -> None:
        """Write the numbers that the MLflow run does not have yet."""
        self._rows = rows
        try:
            with _retrying(0):
                self._write_missing()
        except MlflowException as error:
            log.warning("MLflow did not take epoch %d: %s", len(rows), _first_line(error))

    def _write_missing(self) -> None:
        for part in _parts(list(self._new_metrics(self._rows)), MOST_METRICS):
            self._client.log_batch(self._id, metrics=part)
            for metric in part:
                self._steps[metric.key].add(metric.step)

    def _new_metrics(self, rows: Sequence[EpochRow]) -> Iterator[Metric]:
        now, later = time.time(), sum(row["seconds"] for row in rows)
        for row in rows:
            step, later = int(row["epoch"]), later - row["seconds"]
            for name, value in curves_of(row).items():
                if step not in self._steps_of(name):
                    yield Metric(name, value, int(1000 * (now - later)), step)

    def _steps_of(self, name: str) -> set[int]:
        if name not in self._steps:
            known = self._client.get_metric_history(self._id, name)
            self._steps[name] = {metric.step for metric in known}
        return self._steps[name]

    def finish(self, devices: Sequence[Any]) -> None:
        """Write what is missing, end the MLflow run, and write the pictures."""
        try:
            with _retrying(RETRIES):
                self._write_missing()
                self._client.set_terminated(self._id, status="FINISHED")
        except MlflowException as error:
            log.warning("MLflow did not take the end of the training: %s", _first_line(error))
            return
        with tempfile.TemporaryDirectory(prefix="fashionai-") as scratch:
            for name, picture in pictures(self._config, Run(self._run), devices):
                file = Path(scratch) / f"{name.replace('/', '-')}.png"
                cv2.imwrite(str(file), picture[..., ::-1])
                self._write_picture(file)

    def _write_picture(self, file: Path) -> None:
        try:
            with _retrying(RETRIES):
                self._client.log_artifact(self._id, str(file))
        # A server that refuses a picture is an error of requests, which is an OSError.
        except (MlflowException, OSError) as error:
            log.warning("MLflow did not take %s: %s", file.name, _first_line(error))

    def end_early(self, *, failed: bool) -> None:
        """End the MLflow run; a training that is resumed goes on with it."""
        try:
            with _retrying(0):
                self._client.set_terminated(self._id, status="FAILED" if failed else "KILLED")
        except MlflowException as error:
            log.warning("MLflow did not take the end: %s", _first_line(error))


@contextlib.contextmanager
def _retrying(times: int) -> Iterator[None]:
    """Repeat requests that fail so often, and wait 10 s for each: MLflow tries for minutes."""
    hurry = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": str(times), "MLFLOW_HTTP_REQUEST_TIMEOUT": "10"}
    before = {name: os.environ.get(name) for name in hurry}
    os.environ.update(hurry)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _given_address() -> Optional[str]:
    """The address of the server that the user has set, None without one."""
    return mlflow.get_tracking_uri() if mlflow.is_tracking_uri_set() else None


def _without_credentials(text: str) -> str:
    return CREDENTIALS.sub("", text)


def _parts(items: Sequence[Item], most: int) -> Iterator[list[Item]]:
    """Consecutive parts of at most ``most`` items."""
    for start in range(0, len(items), most):
        yield list(items[start : start + most])


def _first_line(error: Exception) -> str:
    lines = str(error).splitlines() or [type(error).__name__]
    return _without_credentials(lines[0])[:200]
