"""Conversion between the weights of PyTorch and Gluon networks, without PyTorch."""
