"""How good predictions are: scores, ensembles and comparisons."""
