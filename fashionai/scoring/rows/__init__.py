"""Rows that are predicted and labelled, joined by image and task."""
