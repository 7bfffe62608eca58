"""What a review shows: one item per image that a finding is about, with images to compare."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import NamedTuple

from fashionai.errors import DataError
from fashionai.inspection.findings import Finding
from fashionai.inspection.images import TaskImages

# The images of a class that are shown to compare a suspect with.
EXAMPLES = 4


class Item(NamedTuple):
    """An image to review. Images are positions in TaskImages.

    ``similar`` are images that look alike, ``examples`` others with the suggested class. The
    probabilities are texts, empty where nothing is suggested.
    """

    image: int
    reason: str
    suggested: str
    label_probability: str
    suggested_probability: str
    similar: Sequence[int]
    examples: Sequence[int]


def items_of_all(images: TaskImages) -> list[Item]:
    """An item for every image, in the order of the manifest."""
    return [Item(image, "", "", "", "", [], []) for image in range(len(images.paths))]


def items_of_findings(images: TaskImages, findings: Sequence[Finding]) -> list[Item]:
    """An item for each image with a finding, in the order of the findings.

    Of a pair with different labels either may be wrong, so both are items. Raises DataError for
    findings of other images than the prepared ones.
    """
    position_of = {source: position for position, source in enumerate(images.sources)}
    for finding in findings:
        for path in (finding.path, finding.other_path):
            if path and path not in position_of:
                raise DataError(
                    f"{path} is not an image of {images.task.name}",
                    "Write the findings again with fashionai inspect",
                )
    similar: dict[str, dict[str, None]] = defaultdict(dict)
    about: dict[str, list[Finding]] = defaultdict(list)
    for finding in findings:
        about[finding.path].append(finding)
        if finding.is_pair:
            similar[finding.path][finding.other_path] = None
            similar[finding.other_path][finding.path] = None
            if finding.across_labels:
                about[finding.other_path].append(finding)
    examples = _examples(images)
    return [
        _item(position_of[path], own, [position_of[each] for each in similar[path]], examples)
        for path, own in about.items()
    ]


def _item(
    image: int,
    findings: Sequence[Finding],
    similar: Sequence[int],
    examples: dict[str, list[int]],
) -> Item:
    suspect = next((each for each in findings if not each.is_pair), None)
    reason = ", ".join(dict.fromkeys(_reason(each) for each in findings))
    if suspect is None:
        return Item(image, reason, "", "", "", similar, [])
    return Item(
        image,
        reason,
        suspect.suggested,
        suspect.label_probability,
        suspect.suggested_probability,
        similar,
        [each for each in examples.get(suspect.suggested, []) if each != image][:EXAMPLES],
    )


def _reason(finding: Finding) -> str:
    if not finding.is_pair:
        return "suspect label"
    if finding.across_labels:
        return f"{finding.kind} with another label"
    if finding.across_splits:
        return f"{finding.kind} in another split"
    return finding.kind


def _examples(images: TaskImages) -> dict[str, list[int]]:
    """The first images of each label; one more than are shown."""
    found: dict[str, list[int]] = defaultdict(list)
    for position, label in enumerate(images.labels):
        if len(found[label]) <= EXAMPLES:
            found[label].append(position)
    return found
