"""What follows the history of a training: logs for other programs, by their names.

The training loop tells its history to an observer and does not know what becomes of it.
"""

from __future__ import annotations

import contextlib
import importlib.util
import pkgutil
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple, Protocol

from fashionai.config import Config
from fashionai.errors import InstallationError, RunStoppedError
from fashionai.runs import RunFolder
from fashionai.training.records.history import EpochRow


class EndOfRun(Exception):  # noqa: N818 - not an error
    """An observer ends a run before its last epoch; the run can be resumed."""


class HistoryObserver(Protocol):
    """Follows one training, in the process that writes the run's files and under the run's lock."""

    def begin(self, run: RunFolder, config: Config) -> None:
        """A training begins, or a run is resumed."""
        ...

    def observe(self, rows: Sequence[EpochRow]) -> None:
        """The history of the run has these rows, which its files hold already.

        It is called after every epoch, and first with the history of a run that is resumed. Where
        one process trains alone, it may raise EndOfRun.
        """
        ...

    def finish(self, devices: Sequence[Any]) -> None:
        """All epochs are trained; ``devices`` may be computed on."""
        ...

    def end_early(self, *, failed: bool) -> None:
        """The training ends before its last epoch: it has failed, or it was stopped."""
        ...


class _Entry(NamedTuple):
    """The modules that a log needs, and where it is opened."""

    modules: Sequence[str]
    opener: str


# By the names that the configuration has. The logs draw pictures of the run, for which they import
# what is above this package.
LOGS = {
    "tensorboard": _Entry(["tensorboardX"], "fashionai.tracking.tensorboard:TensorBoardLog"),
    "mlflow": _Entry(["mlflow", "sqlalchemy", "alembic"], "fashionai.tracking.mlflow:MlflowLog"),
}


def check_logs(config: Config) -> None:
    """InstallationError for a log whose packages are not installed."""
    for name in config.log:
        missing = [each for each in LOGS[name].modules if importlib.util.find_spec(each) is None]
        if missing:
            raise InstallationError(
                f"log: {name} needs the package {missing[0]}, which is not installed",
                f"Install it: pip install 'fashionai[{name}]', or leave {name} out of log",
            )


def open_observers(config: Config, others: Sequence[HistoryObserver] = ()) -> Observers:
    """The logs of a configuration, and then the others, as one; errors as for check_logs."""
    check_logs(config)
    logs = [pkgutil.resolve_name(LOGS[name].opener)() for name in dict.fromkeys(config.log)]
    return Observers([*logs, *others])


class Observers:
    """Several observers as one."""

    def __init__(self, observers: Sequence[HistoryObserver]) -> None:
        self._observers = list(observers)
        self._begun: list[HistoryObserver] = []

    def begin(self, run: RunFolder, config: Config) -> None:
        """A training begins, or a run is resumed."""
        for each in self._observers:
            each.begin(run, config)
            self._begun.append(each)

    @contextlib.contextmanager
    def told_of_errors(self) -> Iterator[None]:
        """While in this context, an exception tells the observers that have begun of the end."""
        try:
            yield
        except BaseException as error:
            failed = not isinstance(error, (RunStoppedError, KeyboardInterrupt, EndOfRun))
            for each in self._begun:
                each.end_early(failed=failed)
            raise

    def observe(self, rows: Sequence[EpochRow]) -> None:
        """The history of the run has these rows."""
        for each in self._observers:
            each.observe(rows)

    def finish(self, devices: Sequence[Any]) -> None:
        """All epochs are trained."""
        for each in self._observers:
            each.finish(devices)
