"""fashionai: label files in, image classifier and prediction file out."""

__version__ = "0.1.0"
