"""Exports write a run's network as files that other programs can use."""
