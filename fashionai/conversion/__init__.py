"""Weights of PyTorch networks to Gluon's parameters and back, as arrays, without PyTorch."""
