"""Where commands read and write unless told otherwise, relative to the current folder."""

from pathlib import Path

# What people download or draw; label files lie there.
DATA_FOLDER = Path("data")
# What prepare writes: a folder for each task.
PREPARED_FOLDER = DATA_FOLDER / "train_valid"
# What train writes: a folder for each run.
RUNS_FOLDER = Path("runs")
# What init writes: a configuration for each task.
CONFIGS_FOLDER = Path("configs")
