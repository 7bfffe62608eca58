"""Readers of label files: one file per data set or layout."""
