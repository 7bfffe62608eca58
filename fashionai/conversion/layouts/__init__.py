"""Layer names of each family in PyTorch libraries; registry has them all."""
