"""The int8 engine: calibration, the quantized network, and its files in a run."""
