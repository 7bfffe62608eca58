"""Traced networks computed by PyTorch. Nothing here imports MXNet, directly or indirectly."""
