"""Formats of images: what a header says, and the libraries that decode them."""
