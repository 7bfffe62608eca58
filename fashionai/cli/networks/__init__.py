"""The commands about networks and pretrained weights."""
