"""The networks that are defined here: one module per family, and registry, which names them all."""
