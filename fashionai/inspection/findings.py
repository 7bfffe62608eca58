"""Findings: labels that are probably wrong and pairs of images that look alike, as a table."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from fashionai.errors import DataError, counted, nearest, shown
from fashionai.files.formats.csv_files import read_csv_rows, write_rows
from fashionai.files.outputs import csv_kind

LABEL, IDENTICAL, NEAR_DUPLICATE = KINDS = ("label", "identical", "near-duplicate")


class Finding(NamedTuple):
    """One row; a column that does not apply is empty.

    ``path`` is the source of the image in the manifest. ``kind`` LABEL has the suggested class and
    the probabilities of both classes. The other kinds have a second image, and the similarity of
    the hashes, from SIMILAR to 1 (see fashionai.datasets.near_duplicates). IDENTICAL images have
    equal bytes.
    """

    kind: str
    path: str
    split: str
    label: str
    suggested: str = ""
    label_probability: str = ""
    suggested_probability: str = ""
    other_path: str = ""
    other_split: str = ""
    other_label: str = ""
    similarity: str = ""

    @property
    def is_pair(self) -> bool:
        """Whether the finding is two images that look alike."""
        return self.kind != LABEL

    @property
    def across_labels(self) -> bool:
        """Whether two images that look alike have different labels."""
        return self.is_pair and self.label != self.other_label

    @property
    def across_splits(self) -> bool:
        """Whether two images that look alike are in different splits."""
        return self.is_pair and self.split != self.other_split


COLUMNS = ("finding", *Finding._fields[1:])
# What write_findings writes.
FINDINGS = csv_kind("findings", COLUMNS)


def write_findings(file: Path, findings: Iterable[Finding]) -> None:
    """Write findings atomically."""
    write_rows(file, [COLUMNS, *findings])


def read_findings(file: Path) -> list[Finding]:
    """Read findings; DataError, with file and line, for another header, row or kind."""
    rows = read_csv_rows(file)
    header, where = next(rows, ([], str(file)))
    if tuple(header) != COLUMNS:
        found = shown(",".join(header))
        raise DataError(
            f"{where}: found columns '{found}', expected findings of fashionai inspect",
            "Write them with fashionai inspect --out FILE",
        )
    findings = []
    for fields, where in rows:
        if len(fields) != len(COLUMNS):
            found = counted(len(fields), "field")
            raise DataError(f"{where}: found {found}, expected {len(COLUMNS)}")
        if fields[0] not in KINDS:
            raise DataError(f"{where}: finding is '{shown(fields[0])}'", nearest(fields[0], KINDS))
        findings.append(Finding(*fields))
    return findings
