"""What simulate_scaling.py and measure_scaling.py share."""
