"""Trainings as other programs show them: curves, configuration and pictures."""
