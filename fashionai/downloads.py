"""Fetching images from addresses that strangers wrote: public hosts only, and never too much."""

from __future__ import annotations

import contextlib
import ipaddress
import socket
import threading
import time
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Optional, Union
from urllib.parse import urljoin, urlsplit

import numpy as np
import requests
from requests.adapters import HTTPAdapter
from requests.utils import select_proxy
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool, exceptions

from fashionai import __version__
from fashionai.errors import DataError
from fashionai.retries import TryError, may_pass, retry, retry_after

SCHEMES = ("http", "https")
MOST_REDIRECTS = 5
CONNECT_SECONDS, READ_SECONDS = 10, 30
FIRST_PAUSE_SECONDS = 0.5
PART_BYTES = 64 * 1024
BROKEN = "the connection broke off"

# Some hosts refuse clients without a name. Uncompressed is what images want to be sent as.
HEADERS = {
    "User-Agent": f"fashionai/{__version__}",
    "Accept": "image/*,*/*;q=0.5",
    "Accept-Encoding": "identity",
}

# All of IPv6 that is assigned to public hosts. Two prefixes carry IPv4 addresses: that of
# NAT64 gateways outside of it, and 6to4, which nobody needs any more, inside.
IPV6_PUBLIC = ipaddress.ip_network("2000::/3")
IPV6_NAT64 = ipaddress.ip_network("64:ff9b::/96")

Address = Union[ipaddress.IPv4Address, ipaddress.IPv6Address]


@dataclass(frozen=True)
class DownloadLimits:
    """What a download may take.

    ``most_bytes`` counts what the server sends and, apart from that, what this
    unpacks to. ``seconds`` (more than 0) is for one try with its redirects,
    ``retries`` for the tries after the first. ``allow_private`` lifts the limit
    to public addresses.
    """

    most_bytes: int = 32 * 2**20
    seconds: float = 60
    retries: int = 3
    allow_private: bool = False


def fetch_image_bytes(
    url: str,
    limits: DownloadLimits,
    rng: np.random.Generator,
    sleep: Callable[[float], object] = time.sleep,
) -> bytes:
    """What an http or https URL answers, at most ``limits.most_bytes``; not decoded.

    All addresses of the host must be public, and the connection goes to those
    that were checked, whatever another look-up would answer. So it is with up to
    MOST_REDIRECTS redirects. Where the environment sets a proxy, that one looks
    names up, and only addresses written in a URL, and localhost, can be checked.

    Failed connections, timeouts, HTTP 429 and 5xx are tried again after pauses
    that double and that ``rng`` varies by half, or are as long as the server
    asks for. Raises DataError ``<url>: <reason>``.
    """

    def attempt() -> bytes:
        with _Connections(limits) as connections:
            return _follow(url, connections, limits.most_bytes)

    def jitter() -> float:
        return rng.uniform(0.5, 1.5)

    try:
        return retry(attempt, limits.retries, FIRST_PAUSE_SECONDS, sleep, jitter)
    except TryError as error:
        raise DataError(f"{url}: {error}") from None


def is_public(address: Address) -> bool:
    """Whether an address belongs to a host of the internet, not to this one or a network's own."""
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped or address in IPV6_NAT64:
            address = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
        elif address.sixtofour or address not in IPV6_PUBLIC:
            return False
    return address.is_global and not address.is_multicast


def _follow(url: str, connections: _Connections, most_bytes: int) -> bytes:
    for _ in range(MOST_REDIRECTS + 1):
        with connections.get(url) as response:
            target = connections.redirect_target(url, response)
            if target is None:
                return _read_body(response, most_bytes)
            url = target
    raise TryError(f"more than {MOST_REDIRECTS} redirects")


def _read_body(response: requests.Response, most_bytes: int) -> bytes:
    status = response.status_code
    if status != requests.codes.ok:
        raise TryError(f"HTTP {status}", may_pass(status), retry_after(response))
    unpack = _unpacker(response.headers.get("Content-Encoding", "identity").strip().lower())
    body = bytearray()
    received = 0
    while part := response.raw.read(PART_BYTES, decode_content=False):
        received += len(part)
        body += unpack(part, most_bytes + 1 - len(body))
        if max(received, len(body)) > most_bytes:
            raise TryError(f"more than {most_bytes / 2**20:g} MB")
    if response.raw.length_remaining:  # which urllib3 before 2 does not hold to be an error
        raise TryError(BROKEN, again=True)
    return bytes(body)


def _unpacker(encoding: str) -> Callable[[bytes, int], bytes]:
    """What turns a part of the body into at most so many bytes: urllib3 would not stop there."""
    if encoding == "identity":
        return lambda part, most: part
    if encoding not in ("gzip", "x-gzip", "deflate"):
        raise TryError("is packed in a way that was not asked for")
    unpacker = zlib.decompressobj(zlib.MAX_WBITS | 32)  # finds out which of the two it is

    def unpack(part: bytes, most: int) -> bytes:
        try:
            return unpacker.decompress(part, most)
        except zlib.error:
            raise TryError(f"is not packed as {encoding}, as its server says") from None

    return unpack


class _Connections(HTTPAdapter):
    """The connections of one try: to checked addresses only, cut when its time is over."""

    def __init__(self, limits: DownloadLimits) -> None:
        self._limits = limits
        self._session = requests.Session()
        self._sockets: list[socket.socket] = []
        self._late = False
        self._timer = threading.Timer(limits.seconds, self._cut)
        self._timer.daemon = True
        super().__init__()

    def __enter__(self) -> _Connections:
        self._timer.start()
        return self

    def __exit__(
        self,
        kind: Optional[type[BaseException]],
        error: Optional[BaseException],
        traceback: Optional[TracebackType],
    ) -> None:
        self._timer.cancel()
        self.close()
        for opened in self._sockets:
            opened.close()
        broken = isinstance(error, (requests.RequestException, exceptions.HTTPError))
        # A body without a stated length just ends when it is cut. Refusals stay what they are.
        if self._late and (error is None or broken or getattr(error, "again", False)):
            raise TryError(f"took longer than {self._limits.seconds:g} s", again=True)
        if isinstance(error, Exception) and broken:
            raise TryError(_describe(error), again=True)

    def get(self, url: str) -> requests.Response:
        """The response to a GET request before its body is read."""
        try:
            request = requests.Request("GET", url, headers=HEADERS).prepare()
            address = request.url or ""
            parts = urlsplit(address)
            host = parts.hostname or ""
        except ValueError:  # which requests' errors for malformed URLs are, too
            raise TryError("not a valid URL") from None
        if parts.scheme not in SCHEMES:
            raise TryError(f"found the scheme '{parts.scheme}', expected http or https")
        if "@" in parts.netloc:
            raise TryError("a user name in a URL is not accepted")
        # The session supplies what the environment says of proxies and certificates. It does
        # not send: it would add passwords of ~/.netrc and read all that a redirect sends.
        settings: Any = self._session.merge_environment_settings(address, {}, True, None, None)
        if select_proxy(address, settings["proxies"]):
            self._check_for_proxy(host)
        seconds = self._limits.seconds
        timeout = (min(CONNECT_SECONDS, seconds), min(READ_SECONDS, seconds))
        return self.send(request, timeout=timeout, **settings)

    def redirect_target(self, url: str, response: requests.Response) -> Optional[str]:
        """Where the response from ``url`` sends to, None when it does not."""
        try:
            target = self._session.get_redirect_target(response)
            return None if target is None else urljoin(url, target)
        except ValueError:
            raise TryError("redirects to what is not a valid URL") from None

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        """As HTTPAdapter's, with connections to checked addresses."""
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = self._pool_classes(self._checked_addresses)

    def proxy_manager_for(self, proxy: str, **kwargs: Any) -> Any:
        """As HTTPAdapter's, with connections that are cut; those to a SOCKS proxy are not."""
        manager = super().proxy_manager_for(proxy, **kwargs)
        if not proxy.lower().startswith("socks"):
            manager.pool_classes_by_scheme = self._pool_classes(_look_up)
        return manager

    def _pool_classes(self, look_up: Callable[[str, int], list[str]]) -> dict[str, type]:
        """urllib3's pools, whose connections open their sockets here."""

        def open_socket(connection: Any) -> socket.socket:
            return self._open(look_up(connection.host, connection.port), connection)

        classes = {}
        for scheme, pool in (("http", HTTPConnectionPool), ("https", HTTPSConnectionPool)):
            connection = type("_Connection", (pool.ConnectionCls,), {"_new_conn": open_socket})
            classes[scheme] = type("_Pool", (pool,), {"ConnectionCls": connection})
        return classes

    def _open(self, addresses: list[str], connection: Any) -> socket.socket:
        reason: object = "no address"
        for address in addresses:
            if self._late:
                break
            try:
                opened = socket.create_connection((address, connection.port), connection.timeout)
            except OSError as error:
                reason = error.strerror or error
                continue
            # Shutting down a duplicate ends the connection whatever the original is doing;
            # TLS takes that one away.
            self._sockets.append(opened.dup())
            if self._late:
                self._cut()
            return opened
        raise TryError(f"cannot connect to {connection.host}: {reason}", again=True)

    def _cut(self) -> None:
        """End all connections: timeouts of sockets allow a byte now and then for ever."""
        self._late = True
        for opened in list(self._sockets):
            with contextlib.suppress(OSError):
                opened.shutdown(socket.SHUT_RDWR)

    def _checked_addresses(self, host: str, port: int) -> list[str]:
        addresses = _look_up(host, port)
        self._check(host, addresses)
        return addresses

    def _check_for_proxy(self, host: str) -> None:
        """Refuse what is known to be private without looking its name up."""
        name = host.rstrip(".")
        if name == "localhost" or name.endswith(".localhost"):
            self._check(host, ["127.0.0.1"])
        try:
            addresses = _look_up(host, 0, socket.AI_NUMERICHOST)
        except TryError:
            return
        self._check(host, addresses)

    def _check(self, host: str, addresses: list[str]) -> None:
        if self._limits.allow_private:
            return
        for address in addresses:
            # An IPv6 address may name its interface behind a percent sign.
            if not is_public(ipaddress.ip_address(address.partition("%")[0])):
                named = f" of {host}" if host != address else ""
                raise TryError(f"the address {address}{named} is not public")


def _look_up(host: str, port: int, flags: int = 0) -> list[str]:
    """The addresses of a host, each once."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=flags)
    except ValueError:
        raise TryError(f"'{host}' is not a valid host name") from None
    except socket.gaierror as error:
        raise TryError(f"no address of {host} is known: {error.strerror}", again=True) from None
    return list(dict.fromkeys(str(address[0]) for *_, address in found))


def _describe(error: Exception) -> str:
    """The reason of a failed exchange in a few words: the libraries' own tell of their insides."""
    if isinstance(error, (requests.Timeout, exceptions.TimeoutError)):
        return "timed out"
    if isinstance(error, (requests.exceptions.SSLError, exceptions.SSLError)):
        return "no trusted TLS connection"
    if isinstance(error, requests.exceptions.ProxyError):
        return "the proxy does not connect"
    return BROKEN
