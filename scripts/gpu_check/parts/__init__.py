"""The parts of the check; each has a function ``run(context)`` that adds rows."""
