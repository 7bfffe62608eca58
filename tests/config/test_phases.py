"""The phases of a training: counts and shares of its epochs."""

from __future__ import annotations

import pytest

from fashionai.config.phases import Phase, phases_of


def test_shares_are_rounded_to_whole_epochs() -> None:
    trainable = {"head": 0.3, "all": 0.7}
    assert phases_of(trainable, 12) == [Phase("head", 0, 4), Phase("all", 4, 8)]
    assert phases_of(trainable, 2) == [Phase("head", 0, 1), Phase("all", 1, 1)]
    # Of one epoch no third is left for the first phase.
    assert phases_of(trainable, 1) == [Phase("all", 0, 1)]
    assert phases_of({"head": 0.01, "all": 0.99}, 49) == [Phase("all", 0, 49)]


@pytest.mark.parametrize("epochs", [*range(1, 40), 1_000])
@pytest.mark.parametrize("shares", [(0.2, 0.5, 0.3), (0.33, 0.33, 0.33), (0.98, 0.01, 0.01)])
def test_every_epoch_has_one_phase(epochs: int, shares: tuple[float, ...]) -> None:
    names = ("head", "last-stage", "all")
    phases = phases_of(dict(zip(names, shares)), epochs)
    covered = [epoch for phase in phases for epoch in range(phase.first, phase.end)]
    assert covered == list(range(epochs))
    assert [phase.trainable for phase in phases] == sorted(
        (phase.trainable for phase in phases), key=names.index
    )
    for phase in phases:
        share = shares[names.index(phase.trainable)] / sum(shares)
        assert phase.epochs == pytest.approx(share * epochs, abs=1)


def test_counts_are_taken_as_they_are() -> None:
    assert phases_of({"head": 2, "all": 18}, 20) == [Phase("head", 0, 2), Phase("all", 2, 18)]
    assert phases_of("last-stage", 3) == [Phase("last-stage", 0, 3)]
