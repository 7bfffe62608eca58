"""From a finished run and images to probabilities and prediction files."""
