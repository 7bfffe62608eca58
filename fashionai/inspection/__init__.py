"""Suspect labels and near-duplicates of a prepared task."""
