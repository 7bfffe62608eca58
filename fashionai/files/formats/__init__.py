"""Formats of files: CSV, JSON, YAML, text, tables and arrays."""
