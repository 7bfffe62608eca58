"""A run's network as files for other programs."""
