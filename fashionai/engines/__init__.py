"""Engines compute the probabilities of a run's network: one protocol, several implementations."""
