"""How calibration can choose ranges. Importing this module does not import MXNet."""

# naive: the range of all values; entropy: the range of the least Kullback-Leibler divergence.
CALIBRATION_MODES = ("naive", "entropy")
