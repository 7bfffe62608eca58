"""What the HTTP requests for images and for weights have in common."""

from __future__ import annotations

from fashionai import __version__

MOST_REDIRECTS = 5
# The size of the parts that are read, and written to files.
PART_BYTES = 2**16
BROKEN = "the connection broke off"
# Some hosts refuse clients without a User-Agent. Images and weights hardly become smaller by
# compression, and a compressed transfer cannot be resumed.
HEADERS = {"User-Agent": f"fashionai/{__version__}", "Accept-Encoding": "identity"}
