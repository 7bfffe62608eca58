"""The form of a CSV file: its dialect, its header and its columns."""
