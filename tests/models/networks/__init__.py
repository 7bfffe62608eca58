"""Tests of fashionai.models.networks."""
