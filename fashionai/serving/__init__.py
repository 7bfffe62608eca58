"""A run behind an address; needs the optional extra ``web``."""
