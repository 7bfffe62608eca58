"""The demo data set: drawn images of people in garments."""
