"""What computes a run's network: one protocol, several engines."""
