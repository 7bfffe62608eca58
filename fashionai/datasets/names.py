"""Names that prepared folders have in common; importing them imports nothing else."""

SPLITS = ("train", "val", "test")
# How images get into the folders.
MODES = ("hardlink", "copy", "symlink")
