"""The kinds of inputs: one file each, see fuzz.py."""
