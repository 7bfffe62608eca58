"""Pages and services over HTTP; they need the optional extra ``web``."""
