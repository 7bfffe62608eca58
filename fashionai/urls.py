"""What tells a URL from the path of a file."""

from __future__ import annotations

import re

# A scheme and what follows it (RFC 3986, section 3.1).
URL = re.compile(r"[a-z][a-z0-9+.-]*://", re.IGNORECASE)


def is_url(text: str) -> bool:
    """Whether a text opens like a URL, of any scheme."""
    return URL.match(text) is not None
