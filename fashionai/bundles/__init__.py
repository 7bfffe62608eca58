"""Bundles: a run's network as one zip file that computes without this project, and its check."""
