"""Pretrained weights: found in the cache, fetched from their publishers, converted, verified."""
