"""How long a training takes: clocks, estimates and the number of threads."""
