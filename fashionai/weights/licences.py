"""Licences of weights in messages."""

from __future__ import annotations

# In the SPDX identifiers of licences that allow no commercial use, such as CC-BY-NC-4.0.
NON_COMMERCIAL = "-NC-"


def shown_licence(licence: str) -> str:
    """An SPDX identifier as users see it, which may be empty."""
    return licence or "unknown"


def licence_lines(licence: str) -> list[str]:
    """What a user should know about the licence of weights: one line or two."""
    lines = [f"licence of the weights: {shown_licence(licence)}"]
    if NON_COMMERCIAL in f"{licence}-":
        lines.append(f"{licence} does not allow commercial use of these weights")
    return lines
