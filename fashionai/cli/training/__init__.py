"""The commands that configure, check and run trainings."""
