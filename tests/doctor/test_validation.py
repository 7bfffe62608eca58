"""fashionai doctor tells which classes cannot be validated, and what helps."""

from __future__ import annotations

from pathlib import Path

from fashionai.config import load_config
from fashionai.datasets.prepared.samples import Samples
from fashionai.doctor.data import Splits, check_prepared, check_validation
from fashionai.doctor.findings import WARNING, Finding


def examined(splits: Splits, config_name: str = "x") -> Finding:
    (finding,) = check_validation(splits, config_name)
    return finding


def with_few(samples: Samples, class_name: str, count: int) -> Samples:
    """The samples with only the first so many of a class."""
    of_class = [row for row, path in enumerate(samples.paths) if class_name in path.parent.name]
    rows = [row for row in range(len(samples.paths)) if row not in of_class[count:]]
    paths, sources = ([values[row] for row in rows] for values in (samples.paths, samples.sources))
    return Samples(samples.tasks, paths, sources, samples.heads[rows], samples.marks[rows])


def test_too_few_validation_images(skirts: Path) -> None:
    _, splits = check_prepared(load_config(skirts / "small.yaml"))
    assert splits is not None
    finding = examined(splits, "small.yaml")
    assert finding.verdict == WARNING
    assert "with 12 validation images an accuracy of 0.8" in finding.found
    assert finding.mend == "fashionai cross-validate --config small.yaml"
    short_of_one = splits._replace(val=splits.val.part(slice(0, 4)))
    assert "no validation images of " in examined(short_of_one).found


def test_cross_validation_does_not_help_a_class_without_images(skirts: Path) -> None:
    _, splits = check_prepared(load_config(skirts / "small.yaml"))
    assert splits is not None
    few = Splits(splits.train.part(slice(0, 4)), splits.val.part(slice(0, 4)))
    finding = examined(few)
    assert "and no training images of " in finding.found
    assert finding.mend.endswith(", or leave these classes out, and prepare again")


def test_cross_validation_does_not_help_a_class_of_fewer_images_than_folds(skirts: Path) -> None:
    """By default there are four folds."""
    _, splits = check_prepared(load_config(skirts / "small.yaml"))
    assert splits is not None
    last = splits.train.tasks[0].classes[-1]
    val = with_few(splits.val, last, 0)
    too_few, enough = (
        examined(Splits(with_few(splits.train, last, count), val)) for count in (3, 4)
    )
    assert too_few.mend == f"Add images of {last}, or leave the class out, and prepare again"
    assert enough.mend == "fashionai cross-validate --config x"
