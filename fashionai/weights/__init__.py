"""Pretrained weights: the local cache, downloads, conversion and verification."""
