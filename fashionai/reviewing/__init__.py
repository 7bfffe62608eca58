"""Correct labels on a page; needs the optional extra ``web``."""
