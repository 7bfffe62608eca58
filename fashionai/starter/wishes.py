"""What the user asks ``init`` for: the other choices of a configuration are made for it.

Values are as they are written. Those of a wrong type are passed over here and refused with the
whole configuration.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Optional, Union

from fashionai.config import value_at, with_overrides

MODEL_KEY = "model.name="


class Wishes(NamedTuple):
    """Overrides ``key=value``, and the most seconds of a training."""

    overrides: Sequence[str] = ()
    seconds: Optional[float] = None

    @property
    def keys(self) -> list[str]:
        """The dotted keys of the overrides."""
        return [override.partition("=")[0] for override in self.overrides]

    @property
    def model(self) -> Optional[str]:
        """The network."""
        return self._text("model.name")

    @property
    def pretrained(self) -> Optional[Union[bool, str]]:
        """Whether training begins with pretrained weights, or their file."""
        value = self.given("model.pretrained")
        return value if isinstance(value, (bool, str)) else None

    @property
    def trainable(self) -> Any:
        """The layers that learn."""
        return self.given("trainable")

    @property
    def epochs(self) -> Optional[int]:
        """The number of epochs: that of all phases where ``trainable`` has numbers of epochs."""
        phases = self.trainable
        if "epochs" not in self.keys and isinstance(phases, Mapping):
            counts = [value for value in phases.values() if type(value) is int]
            return sum(counts) if len(counts) == len(phases) else None
        return self._number("epochs")

    @property
    def crop(self) -> Optional[int]:
        """The side of the crop in pixels."""
        return self._number("data.crop")

    @property
    def batch_size(self) -> Optional[int]:
        """The images per batch and device."""
        return self._number("batch_size")

    @property
    def accumulate(self) -> int:
        """The batches per update."""
        return self._number("accumulate") or 1

    @property
    def optimizer(self) -> Optional[str]:
        """The name of the optimizer."""
        return self._text("optimizer.name")

    @property
    def stops_early(self) -> bool:
        """Whether training ends when a score does not improve, which needs a score."""
        return self.given("early_stopping.patience") is not None

    @property
    def balances(self) -> bool:
        """Whether training shows all classes equally often, which class weights would double."""
        return bool(self.given("data.sampler") == "balanced")

    def given(self, key: str) -> Any:
        """The value of a dotted key; None where it is not given. ConfigError for no override."""
        return value_at(with_overrides({}, "init", self.overrides), key)

    def _text(self, key: str) -> Optional[str]:
        value = self.given(key)
        return value if isinstance(value, str) else None

    def _number(self, key: str) -> Optional[int]:
        value = self.given(key)
        return value if type(value) is int and value > 0 else None


NO_WISHES = Wishes()
