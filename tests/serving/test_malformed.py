"""Requests of any kind: the server answers or refuses them, and works afterwards."""

from __future__ import annotations

import importlib.util
import os
import random
from urllib.parse import urlsplit

import pytest
import requests
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.commands import ROOT

_spec = importlib.util.spec_from_file_location("serve", ROOT / "scripts/campaigns/serve.py")
assert _spec is not None
assert _spec.loader is not None
CAMPAIGN = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(CAMPAIGN)


@settings(
    max_examples=60,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    body=st.binary(max_size=400),
    content_type=st.sampled_from(
        ["multipart/form-data; boundary=x", "multipart/form-data; boundary=", "image/png", ""]
    )
    | st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=30),
    begins_as_form=st.booleans(),
    query=st.dictionaries(st.sampled_from(["top", "x"]), st.text(max_size=8), max_size=2),
)
def test_any_body_is_refused_with_a_reason(
    address: str, body: bytes, content_type: str, begins_as_form: bool, query: dict[str, str]
) -> None:
    if begins_as_form:
        body = b'--x\r\nContent-Disposition: form-data; name="a"; filename="b"\r\n\r\n' + body
    response = requests.post(
        f"{address}/predict",
        data=body,
        params=query,
        headers={"Content-Type": content_type.strip()},
        timeout=20,
    )
    assert response.status_code in (400, 413, 415, 422), response.text
    assert isinstance(response.json()["detail"], str)


@pytest.mark.parametrize("kind", CAMPAIGN.KINDS)
def test_the_kinds_of_the_campaign_cost_no_server(address: str, kind: object) -> None:
    port = urlsplit(address).port
    for seed in range(12):
        seconds = CAMPAIGN.INCOMPLETE.get(kind, CAMPAIGN.TIMEOUT)
        status = CAMPAIGN.status_of(port, kind(random.Random(seed)), seconds)  # type: ignore[operator]
        assert status < 500 or status == 503
    assert CAMPAIGN.status_of(port, CAMPAIGN.GOOD) == 200


def test_the_campaign_notices_a_status_of_500(
    address: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(CAMPAIGN, "status_of", lambda *request: 500)
    assert CAMPAIGN.campaign(0, os.getpid(), 3, 1) >= 3
    assert "status 500" in capsys.readouterr().out
