"""Distinguishing URLs from file paths."""

from __future__ import annotations

import re

# A scheme followed by "://" (RFC 3986, section 3.1).
URL = re.compile(r"[a-z][a-z0-9+.-]*://", re.IGNORECASE)


def is_url(text: str) -> bool:
    """Whether a text begins like a URL of any scheme."""
    return URL.match(text) is not None
