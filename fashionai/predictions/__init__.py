"""From runs and images to probabilities and prediction files."""
