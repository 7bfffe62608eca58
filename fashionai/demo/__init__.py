"""The demo data set: drawn figures in garments."""
