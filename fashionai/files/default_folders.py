"""The folders in which commands read and write by default, relative to the current folder."""

from pathlib import Path

# Downloaded data sets, with their label files, and the demo data set.
DATA_FOLDER = Path("data")
DEMO_FOLDER = DATA_FOLDER / "demo"
# Prepared data sets: one folder per task.
PREPARED_FOLDER = DATA_FOLDER / "train_valid"
# Runs: one folder per run.
RUNS_FOLDER = Path("runs")
# Configurations that init writes: one file per task.
CONFIGS_FOLDER = Path("configs")
