"""Runs: what a training leaves in its folder, and how it is read, made and removed."""

from fashionai.runs.folders import (
    BASE_CONFIG_FILE,
    CROSS_VALIDATION_FILE,
    FOLDS_FILE,
    MOST_FOLDS,
    RunFolder,
    create_run,
    find_folds,
    holds_run,
    locked_run,
    read_metrics,
    remove_run,
)
from fashionai.runs.run import (
    Run,
    best_finished_runs,
    check_consistent_classes,
    deciding_differences,
    find_runs,
    find_sound_runs,
    hint_at_resuming,
    learnt_tasks,
    open_runs,
)

__all__ = [
    "BASE_CONFIG_FILE",
    "CROSS_VALIDATION_FILE",
    "FOLDS_FILE",
    "MOST_FOLDS",
    "Run",
    "RunFolder",
    "best_finished_runs",
    "check_consistent_classes",
    "create_run",
    "deciding_differences",
    "find_folds",
    "find_runs",
    "find_sound_runs",
    "hint_at_resuming",
    "holds_run",
    "learnt_tasks",
    "locked_run",
    "open_runs",
    "read_metrics",
    "remove_run",
]
