"""How well probabilities agree with how often predictions are correct."""
