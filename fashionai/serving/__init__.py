"""A run behind an address: images in by HTTP, classes out, for programs and for a page."""
