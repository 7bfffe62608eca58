"""Downloads of images from untrusted URLs: from public hosts only, and within limits."""

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

from fashionai.errors import DataError
from fashionai.progress import Advance, no_progress
from fashionai.web.http import BROKEN, HEADERS, MOST_REDIRECTS, PART_BYTES
from fashionai.web.retries import TryError, may_pass, retry, retry_after

SCHEMES = ("http", "https")
# zlib's number for headers of gzip and of zlib; the first bytes of a member of gzip.
ANY_HEADER, GZIP_MAGIC = zlib.MAX_WBITS | 32, b"\x1f\x8b"
CONNECT_SECONDS, READ_SECONDS = 10, 30
FIRST_PAUSE_SECONDS = 0.5
IMAGE_HEADERS = {**HEADERS, "Accept": "image/*,*/*;q=0.5"}

# The IPv6 addresses of public hosts. Two other kinds of addresses contain IPv4 addresses: those of
# NAT64 gateways are outside of this range, those of 6to4, which is obsolete, inside.
IPV6_PUBLIC = ipaddress.ip_network("2000::/3")
IPV6_NAT64 = ipaddress.ip_network("64:ff9b::/96")

Address = Union[ipaddress.IPv4Address, ipaddress.IPv6Address]


@dataclass(frozen=True)
class DownloadLimits:
    """The limits of a download.

    ``most_bytes`` limits the bytes that the server sends and, separately, the
    uncompressed size. ``seconds``, greater than 0, limits one try, including its
    redirects. ``retries`` is the number of tries after the first. ``allow_private``
    also allows addresses that are not public.
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
    progress: Advance = no_progress,
) -> bytes:
    """Download the content of an http or https URL, at most ``limits.most_bytes``.

    All addresses of the host must be public. The connection uses the checked
    addresses and does not resolve the name again. The same applies to up to
    MOST_REDIRECTS redirects. If the environment sets a proxy, the proxy resolves the
    names: then only localhost and numeric addresses in the URL are checked.

    Failed connections, timeouts, HTTP 429 and HTTP 5xx are retried. The pause doubles
    with each try and is varied by ``rng`` by up to 50 %; a longer Retry-After of the
    server takes precedence. ``progress`` counts the bytes that arrive. Raises DataError
    ``<url>: <reason>``.
    """

    def attempt() -> bytes:
        with _Connections(limits) as connections:
            return _follow(url, connections, limits.most_bytes, progress)

    def jitter() -> float:
        return rng.uniform(0.5, 1.5)

    try:
        return retry(attempt, limits.retries, FIRST_PAUSE_SECONDS, sleep, jitter)
    except TryError as error:
        raise DataError(f"{url}: {error}") from None


def is_public(address: Address) -> bool:
    """Whether an address is a public unicast address, not a private, local or reserved one."""
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped or address in IPV6_NAT64:
            address = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
        elif address.sixtofour or address not in IPV6_PUBLIC:
            return False
    return address.is_global and not address.is_multicast


def _follow(url: str, connections: _Connections, most_bytes: int, progress: Advance) -> bytes:
    for _ in range(MOST_REDIRECTS + 1):
        with connections.get(url) as response:
            target = connections.redirect_target(url, response)
            if target is None:
                return _read_body(response, most_bytes, progress)
            url = target
    raise TryError(f"more than {MOST_REDIRECTS} redirects")


def _read_body(response: requests.Response, most_bytes: int, progress: Advance) -> bytes:
    status = response.status_code
    if status != requests.codes.ok:
        raise TryError(f"HTTP {status}", may_pass(status), retry_after(response))
    unpacker = _Unpacker(response.headers.get("Content-Encoding", "identity").strip().lower())
    body = bytearray()
    received = 0
    while part := response.raw.read(PART_BYTES, decode_content=False):
        received += len(part)
        progress(len(part))
        body += unpacker.unpack(part, most_bytes + 1 - len(body))
        if max(received, len(body)) > most_bytes:
            raise TryError(f"more than {most_bytes / 2**20:g} MB")
    # urllib3 before 2.0 raises no error for a body that is shorter than announced.
    if response.raw.length_remaining or not unpacker.is_at_end:
        raise TryError(BROKEN, again=True)
    return bytes(body)


class _Unpacker:
    """Decompresses a body, of each part at most a given number of bytes.

    urllib3's own decompression has no such limit.
    """

    def __init__(self, encoding: str) -> None:
        if encoding not in ("identity", "gzip", "x-gzip", "deflate"):
            raise TryError("unsupported content encoding, expected gzip, deflate or none")
        self._encoding = encoding
        self._stream = None if encoding == "identity" else zlib.decompressobj(ANY_HEADER)

    def unpack(self, part: bytes, most: int) -> bytes:
        """The content of the next part of the body, or its beginning."""
        if self._stream is None:
            return part
        try:
            content = self._stream.decompress(part, most)
            # gzip may have several members (RFC 1952, 2.2).
            while len(content) < most and (rest := self._stream.unused_data)[:2] == GZIP_MAGIC:
                self._stream = zlib.decompressobj(ANY_HEADER)
                content += self._stream.decompress(rest, most - len(content))
            return content
        except zlib.error:
            raise TryError(f"the content is not compressed as {self._encoding}") from None

    @property
    def is_at_end(self) -> bool:
        """Whether the parts so far can be the whole body: what is compressed has its end."""
        return self._stream is None or self._stream.eof


class _Connections(HTTPAdapter):
    """The connections of one try: only to checked addresses, and closed at its time limit."""

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
        # A body without a Content-Length ends without an error when its connection is closed.
        # Errors that no other try can avoid are more specific than the time limit.
        if self._late and (error is None or broken or getattr(error, "again", False)):
            raise TryError(f"took longer than {self._limits.seconds:g} s", again=True)
        if isinstance(error, Exception) and broken:
            raise TryError(_describe(error), again=True)

    def get(self, url: str) -> requests.Response:
        """Send a GET request; return the response without reading its body."""
        try:
            request = requests.Request("GET", url, headers=IMAGE_HEADERS).prepare()
            address = request.url or ""
            parts = urlsplit(address)
            host = parts.hostname or ""
        except ValueError:  # requests' errors for malformed URLs are ValueErrors
            raise TryError("not a valid URL") from None
        if parts.scheme not in SCHEMES:
            raise TryError(f"found the scheme '{parts.scheme}', expected http or https")
        if "@" in parts.netloc:
            raise TryError("a user name in a URL is not accepted")
        # The session provides the proxies and certificates of the environment. It does not send
        # the request, because it would add passwords of ~/.netrc and read the whole body of a
        # redirect.
        settings: Any = self._session.merge_environment_settings(address, {}, True, None, None)
        if select_proxy(address, settings["proxies"]):
            self._check_for_proxy(host)
        seconds = self._limits.seconds
        timeout = (min(CONNECT_SECONDS, seconds), min(READ_SECONDS, seconds))
        return self.send(request, timeout=timeout, **settings)

    def redirect_target(self, url: str, response: requests.Response) -> Optional[str]:
        """The URL to which the response from ``url`` redirects, None if it is no redirect."""
        try:
            target = self._session.get_redirect_target(response)
            return None if target is None else urljoin(url, target)
        except ValueError:
            raise TryError("redirects to an invalid URL") from None

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        """HTTPAdapter's method, with connections to checked addresses only."""
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = self._pool_classes(self._checked_addresses)

    def proxy_manager_for(self, proxy: str, **kwargs: Any) -> Any:
        """HTTPAdapter's method, with connections that the time limit closes, except to SOCKS."""
        manager = super().proxy_manager_for(proxy, **kwargs)
        if not proxy.lower().startswith("socks"):
            manager.pool_classes_by_scheme = self._pool_classes(_look_up)
        return manager

    def _pool_classes(self, look_up: Callable[[str, int], list[str]]) -> dict[str, type]:
        """urllib3's pool classes by scheme, with connections that open their sockets here."""

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
            # Shutting down a duplicate of the socket ends the connection in any state. The
            # original cannot be kept: TLS replaces it.
            self._sockets.append(opened.dup())
            if self._late:
                self._cut()
            return opened
        raise TryError(f"cannot connect to {connection.host}: {reason}", again=True)

    def _cut(self) -> None:
        """Close all connections. A socket timeout is not enough: a slow server never exceeds it."""
        self._late = True
        for opened in list(self._sockets):
            with contextlib.suppress(OSError):
                opened.shutdown(socket.SHUT_RDWR)

    def _checked_addresses(self, host: str, port: int) -> list[str]:
        addresses = _look_up(host, port)
        self._check(host, addresses)
        return addresses

    def _check_for_proxy(self, host: str) -> None:
        """Refuse hosts that are private, as far as this is known without resolving names."""
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
            # The address may end in a percent sign and the name of an interface (IPv6 scope).
            if not is_public(ipaddress.ip_address(address.partition("%")[0])):
                named = f" of {host}" if host != address else ""
                raise TryError(f"the address {address}{named} is not public")


def _look_up(host: str, port: int, flags: int = 0) -> list[str]:
    """The addresses of a host without duplicates."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=flags)
    except ValueError:
        raise TryError(f"'{host}' is not a valid host name") from None
    except socket.gaierror as error:
        raise TryError(f"no address of {host} is known: {error.strerror}", again=True) from None
    return list(dict.fromkeys(str(address[0]) for *_, address in found))


def _describe(error: Exception) -> str:
    """The reason of a failed request; the messages of the libraries describe their internals."""
    if isinstance(error, (requests.Timeout, exceptions.TimeoutError)):
        return "timed out"
    if isinstance(error, (requests.exceptions.SSLError, exceptions.SSLError)):
        return "no trusted TLS connection"
    if isinstance(error, requests.exceptions.ProxyError):
        return "the proxy does not connect"
    return BROKEN
