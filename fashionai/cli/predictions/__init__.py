"""The commands that predict images."""
