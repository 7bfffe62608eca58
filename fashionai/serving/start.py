"""Starts the server of a run, and ends it."""

from __future__ import annotations

import importlib.util
import urllib.parse
from pathlib import Path
from typing import Callable, Optional, Protocol

from fashionai.errors import ConfigError, InstallationError
from fashionai.frameworks.choice import Chosen
from fashionai.runs import Run
from fashionai.serving.limits import Limits

# What the extra "web" installs.
PACKAGES = ("fastapi", "multipart", "prometheus_client", "uvicorn")


class PredictionSettings(Protocol):
    """How a run predicts, and on which devices."""

    @property
    def crops(self) -> int:
        """Views per image."""
        ...

    @property
    def batch_size(self) -> int:
        """Images per batch."""
        ...

    @property
    def image_size(self) -> Optional[int]:
        """Side of the views, None for that of training."""
        ...

    def chosen(self) -> Chosen:
        """The engine and its devices."""
        ...


def serve(
    path: Path,
    settings: PredictionSettings,
    limits: Limits,
    *,
    host: str,
    port: int,
    token: str,
    calibrated: bool,
    announce: Callable[[str], None],
) -> None:
    """Serve a run until SIGINT or SIGTERM.

    ``announce`` is called with lines for the user. With ``calibrated`` the probabilities are scaled
    by the run's calibration. Raises InstallationError without the packages, ConfigError for an
    address that other machines reach without a ``token`` and for a port in use, and errors of
    Run.open, read_calibration and Service.
    """
    check_installed()
    # They import what check_installed has looked for.
    from fashionai.predictions.scaling import read_calibration
    from fashionai.serving.app import create_app
    from fashionai.serving.listening import LOOPBACK_NAMES, listen, run_until_stopped, url_of
    from fashionai.serving.service import Service, Settings

    _check_arguments(host, token, limits)
    run = Run.open(path).at_crop(settings.image_size)
    calibration = read_calibration(run, settings.crops) if calibrated else None
    with listen(host, port) as listening:
        chosen = settings.chosen()
        prediction = Settings(
            chosen.contexts, settings.crops, settings.batch_size, chosen.engine, calibration
        )
        service = Service(run, prediction, limits)
        try:
            names = None if token else (*LOOPBACK_NAMES, host)
            app = create_app(service, token, names)
            secret = f"#token={urllib.parse.quote(token)}" if token else ""
            announce(f"{run}: {run.config.model.name}, engine {service.engine}")
            announce(f"Open {url_of(listening)}{secret} in a browser; Ctrl-C stops")
            run_until_stopped(app, listening, service.stop, limits.seconds)
        finally:
            service.close()
    announce("Stopped")


def _check_arguments(host: str, token: str, limits: Limits) -> None:
    """ConfigError for an unsafe address, a queue that takes no request, and a wrong token."""
    from fashionai.serving.listening import is_loopback

    if not is_loopback(host) and not token:
        raise ConfigError(
            f"--host {host}: other machines can reach this address and use the model",
            "Give --token SECRET, or leave out --host",
        )
    if limits.queue < limits.images:
        raise ConfigError(
            f"--queue {limits.queue}: smaller than --max-images {limits.images}, so that such a "
            "request would never be taken",
            f"Give --max-images {limits.queue} too",
        )
    if not token.isascii() or not token.isprintable() or " " in token:
        raise ConfigError("--token: expected letters, digits and signs of ASCII, without spaces")


def check_installed() -> None:
    """Raise InstallationError unless the packages of the extra "web" are installed."""
    missing = [name for name in PACKAGES if importlib.util.find_spec(name) is None]
    if missing:
        raise InstallationError(
            f"{missing[0]} is not installed", "Run: pip install 'fashionai[web]'"
        )
