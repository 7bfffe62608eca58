"""Names that all prepared folders share; the command line needs them before anything else."""

SPLITS = ("train", "val", "test")
# How prepare puts images into the class folders.
MODES = ("hardlink", "copy", "symlink")
