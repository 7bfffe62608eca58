"""Search for hyper-parameters: studies whose trials are runs."""
