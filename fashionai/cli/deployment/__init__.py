"""The commands that prepare a run for use in other programs."""
