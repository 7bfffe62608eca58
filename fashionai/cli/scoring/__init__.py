"""The commands that score, compare and list runs and prediction files."""
