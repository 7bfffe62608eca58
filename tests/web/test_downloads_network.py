"""Downloads in a network that is not to be trusted: where connections go, and where not."""

from __future__ import annotations

import ipaddress
import ssl
from pathlib import Path

import numpy as np
import pytest
import trustme
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fashionai.errors import DataError
from fashionai.web.downloads import DownloadLimits, fetch_image_bytes, is_public
from tests.support.image_server import (
    OTHER_PUBLIC_ADDRESS,
    PUBLIC_ADDRESS,
    ImageServer,
    Network,
    content,
    endless,
    redirect,
    serve,
)

BODY = b"a picture"
LOCAL = DownloadLimits(allow_private=True, retries=0)
PUBLIC = DownloadLimits(retries=0)


def fetch(url: str, limits: DownloadLimits) -> bytes:
    return fetch_image_bytes(url, limits, np.random.default_rng(0), sleep=lambda seconds: None)


def reason(url: str, limits: DownloadLimits) -> str:
    """Why a URL is refused; the message opens with the URL."""
    with pytest.raises(DataError) as refused:
        fetch(url, limits)
    opening, message = str(refused.value)[: len(url) + 2], str(refused.value)[len(url) + 2 :]
    assert opening == f"{url}: "
    return message


def test_five_redirects_are_followed_and_no_more(server: ImageServer) -> None:
    server.pages = {
        f"/{n}": redirect(f"{'' if n % 2 else server.url}/{n - 1}") for n in (1, 2, 3, 4, 5, 6)
    }
    server.pages["/0"] = content(BODY)
    assert fetch(server.url + "/5", LOCAL) == BODY
    assert reason(server.url + "/6", LOCAL) == "more than 5 redirects"
    server.pages["/loop"] = redirect("/loop")
    server.requests.clear()
    assert (
        reason(server.url + "/loop", DownloadLimits(allow_private=True)) == "more than 5 redirects"
    )
    assert len(server.requests) == 6


def test_the_body_of_a_redirect_is_not_read(server: ImageServer) -> None:
    server.pages = {"/a": endless(302, Location="/b"), "/b": content(BODY)}
    assert fetch(server.url + "/a", LOCAL) == BODY


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        ("file:///etc/passwd", "found the scheme 'file', expected http or https"),
        ("ftp://covers.example/a", "found the scheme 'ftp', expected http or https"),
        ("data:image/png;base64,AAAA", "found the scheme 'data', expected http or https"),
        ("http://me:secret@covers.example/", "a user name in a URL is not accepted"),
        ("http://me@covers.example/", "a user name in a URL is not accepted"),
        ("http://[::1", "redirects to an invalid URL"),
        ("//127.0.0.1:{port}/private", "the address 127.0.0.1 is not public"),
        ("http://[::ffff:127.0.0.1]:{port}/private", "the address ::ffff:127.0.0.1 is not public"),
        (
            "http://inside.example:{port}/private",
            "the address 10.0.0.1 of inside.example is not public",
        ),
        (
            "http://both.example:{port}/private",
            "the address 127.0.0.1 of both.example is not public",
        ),
    ],
)
def test_redirects_are_checked_as_urls_are(
    server: ImageServer, network: Network, target: str, expected: str
) -> None:
    network.answers["inside.example"] = [["10.0.0.1"]]
    network.answers["both.example"] = [[PUBLIC_ADDRESS, "127.0.0.1"]]
    target = target.format(port=server.server_port)
    server.pages = {"/a": redirect(target), "/private": content(b"secret")}
    assert reason("http://covers.example/a", PUBLIC) == expected
    assert network.connected == [PUBLIC_ADDRESS]
    assert server.paths == ["/a"]
    assert server.connections == 1
    if target.startswith(("http:/", "//")) and "valid" not in expected:
        assert reason(target if target[0] != "/" else f"http:{target}", PUBLIC) == expected
        assert server.connections == 1


def test_a_redirect_to_no_text_is_refused(server: ImageServer) -> None:
    server.pages["/a"] = redirect("/\xff\xfe")
    assert reason(server.url + "/a", LOCAL) == "redirects to an invalid URL"


# Where connections go.


@pytest.mark.parametrize(
    "host",
    [
        *("127.0.0.1", "127.1", "2130706433", "0x7f.1", "0177.0.0.1", "0.0.0.0", "0", "127.0.0.2"),
        *("[::1]", "[::]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[64:ff9b::7f00:1]"),
        *("10.1.2.3", "172.16.0.1", "192.168.0.1", "169.254.169.254", "100.64.0.1"),
        *("224.0.0.1", "239.1.1.1", "255.255.255.255", "240.0.0.1", "[ff02::1]", "[fe80::1]"),
        *("[fc00::1]", "[fec0::1]", "[2002:7f00:1::]", "[2001:db8::1]", "[::127.0.0.1]"),
        *("localhost", "LOCALHOST.", "inside.example"),
    ],
)
def test_no_connection_to_a_private_address_is_opened(
    server: ImageServer, network: Network, host: str
) -> None:
    network.answers["localhost"] = network.answers["localhost."] = [["::1", "127.0.0.1"]]
    network.answers["inside.example"] = [["127.0.0.1"]]
    server.pages["/a"] = content(BODY)
    for scheme in ("http", "https"):
        message = reason(f"{scheme}://{host}:{server.server_port}/a", DownloadLimits())
        assert message.startswith("the address ")
        assert message.endswith(" is not public")
    assert network.connected == []
    assert server.connections == 0


def test_public_addresses_are_connected_to(server: ImageServer, network: Network) -> None:
    server.pages["/a"] = content(BODY)
    for host in ("covers.example", PUBLIC_ADDRESS, f"[{OTHER_PUBLIC_ADDRESS}]"):
        assert fetch(f"http://{host}/a", PUBLIC) == BODY
    assert network.connected == [PUBLIC_ADDRESS, PUBLIC_ADDRESS, OTHER_PUBLIC_ADDRESS]
    assert server.requests[0][1]["Host"] == "covers.example"


def test_a_second_reply_of_the_name_server_is_ignored(
    server: ImageServer, network: Network
) -> None:
    server.pages["/a"] = content(BODY)
    network.answers["rebinding.example"] = [[PUBLIC_ADDRESS], ["127.0.0.1"]]
    url = f"http://rebinding.example:{server.server_port}/a"
    assert fetch(url, PUBLIC) == BODY
    assert network.connected == [PUBLIC_ADDRESS]
    # Each connection has its own answer checked.
    assert reason(url, PUBLIC) == "the address 127.0.0.1 of rebinding.example is not public"
    assert network.connected == [PUBLIC_ADDRESS]


def test_addresses_of_the_registries_are_public_or_not() -> None:
    """From the IANA registries of special-purpose addresses and of IPv6 address space."""
    private = """0.0.0.0/8 10.0.0.0/8 100.64.0.0/10 127.0.0.0/8 169.254.0.0/16 172.16.0.0/12
        192.0.2.0/24 192.168.0.0/16 198.18.0.0/15 198.51.100.0/24 203.0.113.0/24 224.0.0.0/4
        240.0.0.0/4 ::/96 ::1/128 ::ffff:10.0.0.0/104 64:ff9b::10.0.0.0/104 64:ff9b:1::/48 100::/64
        2001:db8::/32 2001:2::/48 2002::/16 fc00::/7 fe80::/10 fec0::/10 ff00::/8"""
    for text in private.split():
        network = ipaddress.ip_network(text)
        for address in (network[0], network[-1], network[network.num_addresses // 2]):
            assert not is_public(address), address
    public = """1.1.1.1 8.8.8.8 9.255.255.255 11.0.0.0 100.63.255.255 100.128.0.0 126.255.255.255
        128.0.0.1 172.15.255.255 172.32.0.0 192.167.255.255 192.169.0.0 223.255.255.255 2606:4700::1
        2a00:1450::1 ::ffff:8.8.8.8 64:ff9b::8.8.8.8"""
    for text in public.split():
        assert is_public(ipaddress.ip_address(text)), text


def test_urls_that_are_none_are_refused_without_a_connection(network: Network) -> None:
    network.answers["a" * 70 + ".example"] = [[PUBLIC_ADDRESS]]
    for url, expected in {
        "": "not a valid URL",
        "cat.jpg": "not a valid URL",
        "http://": "not a valid URL",
        "http:///a.jpg": "not a valid URL",
        "http://[::1": "not a valid URL",
        "http://covers.example:99999/": "not a valid URL",
        "http://１２７.0.0.1/": "not a valid URL",
        "file:///etc/passwd": "found the scheme 'file', expected http or https",
        "gopher://covers.example/": "found the scheme 'gopher', expected http or https",
        "http+unix://covers.example/": "found the scheme 'http+unix', expected http or https",
    }.items():
        assert reason(url, DownloadLimits()) == expected, url
    assert network.connected == []


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.one_of(st.text(), st.text().map("http://".__add__), st.text().map("https://h/".__add__)))
def test_any_text_is_refused_with_a_reason(network: Network, url: str) -> None:
    network.connected.clear()
    assert reason(url, PUBLIC)
    assert network.connected == []


# Proxies, certificates.


def test_a_proxy_is_used_and_gets_no_private_address(
    server: ImageServer, network: Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The proxy is on this machine, names are its business, and its answers are cut, too."""
    for name in ("http_proxy", "https_proxy"):
        monkeypatch.setenv(name, server.url)
    monkeypatch.setenv("no_proxy", "direct.example")
    server.pages = {
        "http://unknown.example/a": content(BODY),
        "http://unknown.example/b": redirect("http://169.254.169.254/"),
        "http://unknown.example/c": endless(part=b"x", every=0.05),
    }
    assert fetch("http://unknown.example/a", PUBLIC) == BODY
    network.answers["direct.example"] = [["127.0.0.1"]]
    for host in ("127.0.0.1", "localhost", "a.localhost.", "0x7f.1", "[::1]", "direct.example"):
        assert reason(f"http://{host}/a", PUBLIC).endswith(" is not public"), host
        assert reason(f"https://{host}/a", PUBLIC).endswith(" is not public"), host
    assert server.connections == 1
    assert reason("http://unknown.example/b", PUBLIC) == "the address 169.254.169.254 is not public"
    limits = DownloadLimits(seconds=0.4, retries=0)
    assert reason("http://unknown.example/c", limits) == "took longer than 0.4 s"
    assert reason("https://unknown.example/a", PUBLIC) == "the proxy does not connect"


def test_certificates_are_held_to_the_name_and_not_to_the_address(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, server: ImageServer, network: Network
) -> None:
    authority = trustme.CA()
    authorities = str(tmp_path / "authorities.pem")
    authority.cert_pem.write_to_path(authorities)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("covers.example").configure_cert(context)
    network.answers["covers.example"] = network.answers["other.example"] = [["127.0.0.1"]]
    with serve(context) as secure:
        secure.pages["/a"] = content(BODY)
        url = f"https://covers.example:{secure.server_port}/a"
        assert reason(url, LOCAL) == "no trusted TLS connection"
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", authorities)
        assert fetch(url, LOCAL) == BODY
        assert reason(url.replace("covers.", "other."), LOCAL) == "no trusted TLS connection"
        assert secure.paths == ["/a"]
