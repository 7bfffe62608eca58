"""Pretrained weights of the Gluon and GluonCV zoos: found, downloaded, verified."""

from __future__ import annotations

import hashlib
import importlib
import io
import zipfile
from pathlib import Path

import requests

from fashionai.errors import WeightsError
from fashionai.files import atomic_path
from fashionai.runtime import zoo_cache_folder, zoo_repository

ZOO_MODULES = ("mxnet.gluon.model_zoo.model_store", "gluoncv.model_zoo.model_store")
CONNECT_SECONDS, READ_SECONDS = 10, 60


def zoo_weights(name: str) -> Path:
    """The ImageNet weights of a zoo's network: from its cache folder, else downloaded.

    The cache is ``$MXNET_HOME/models`` (``~/.mxnet/models``), the download host
    ``$MXNET_GLUON_REPO`` where set. Raises WeightsError that says what was tried.
    """
    sha1 = _published_sha1(name)
    file_name = f"{name}-{sha1[:8]}"
    file = zoo_cache_folder() / f"{file_name}.params"
    if file.is_file():
        if _sha1(file.read_bytes()) == sha1:
            return file
        raise WeightsError(f"{file}: SHA-1 is not {sha1}, the file is damaged", "Delete it")
    url = f"{zoo_repository()}gluon/models/{file_name}.zip"
    try:
        parameters = _download_member(url, f"{file_name}.params")
    except (requests.RequestException, zipfile.BadZipFile, KeyError) as error:
        raise WeightsError(
            f"pretrained weights of {name} are neither at {file} nor at {url} "
            f"({_short_reason(error)})",
            "Set model.pretrained to a .params file, MXNET_GLUON_REPO to a mirror's address, "
            "or model.pretrained=false",
        ) from None
    if _sha1(parameters) != sha1:
        raise WeightsError(f"{url}: SHA-1 of {file_name}.params is not {sha1}; nothing was kept")
    with atomic_path(file) as temporary:
        temporary.write_bytes(parameters)
    return file


def _published_sha1(name: str) -> str:
    """SHA-1 of a network's weights in the table of the zoo that the network is built from."""
    for module in ZOO_MODULES:
        # The zoos keep the full hashes in a private table; their public function cuts them.
        table = importlib.import_module(module)._model_sha1
        if name in table:
            return str(table[name])
    raise WeightsError(
        f"no pretrained weights of {name} were published",
        "Set model.pretrained=false or to a .params file",
    )


def _download_member(url: str, member: str) -> bytes:
    """One file of a zip archive at ``url``."""
    response = requests.get(url, timeout=(CONNECT_SECONDS, READ_SECONDS))
    response.raise_for_status()
    with zipfile.ZipFile(io.BytesIO(response.content)) as archive:
        return archive.read(member)


def _short_reason(error: Exception) -> str:
    if isinstance(error, requests.HTTPError) and error.response is not None:
        return f"HTTP {error.response.status_code}"
    if isinstance(error, requests.Timeout):
        return "timed out"
    if isinstance(error, requests.ConnectionError):
        return "cannot connect"
    if isinstance(error, requests.RequestException):
        return str(error)
    return "not the expected archive"


def _sha1(data: bytes) -> str:
    return hashlib.sha1(data).hexdigest()
