"""The result of one check."""

from __future__ import annotations

from typing import Any, NamedTuple

from fashionai.errors import FashionAIError

# Verdicts: as it should be; the training works, but slower or worse than it could; it fails.
OK, WARNING, ERROR = "ok", "warning", "error"
# The check needs something that another check has not found.
SKIPPED = "skipped"


class Finding(NamedTuple):
    """What a check has found, its verdict, and the command that mends it.

    An alternative to the command may follow after a semicolon.
    """

    check: str
    verdict: str
    found: str
    mend: str = ""

    def to_json(self) -> dict[str, Any]:
        """The fields by name."""
        return self._asdict()


def of_error(check: str, error: FashionAIError, mend: str = "") -> Finding:
    """The finding of an error with which the training would stop."""
    return Finding(check, ERROR, error.message, mend or error.hint.removeprefix("Run: "))


def is_safe(findings: list[Finding]) -> bool:
    """Whether nothing was found with which a training would fail."""
    return all(finding.verdict in (OK, WARNING) for finding in findings)
