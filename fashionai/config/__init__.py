"""The configuration of a training run: typed, complete, and all errors at once.

Every key, its default and its range stand in the models; nothing else reads
configuration files.
"""

from fashionai.config.loading import (
    differing_keys,
    dump_config,
    known_keys,
    load_config,
    resolve_config,
    save_config,
    shown_keys,
    value_at,
    with_overrides,
)
from fashionai.config.models import LAST, Config, reported_score
from fashionai.config.sections import DataConfig, OptimizerConfig, short_side

__all__ = [
    "LAST",
    "Config",
    "DataConfig",
    "OptimizerConfig",
    "differing_keys",
    "dump_config",
    "known_keys",
    "load_config",
    "reported_score",
    "resolve_config",
    "save_config",
    "short_side",
    "shown_keys",
    "value_at",
    "with_overrides",
]
