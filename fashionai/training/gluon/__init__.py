"""Training on MXNet: the network, its optimizer and its inputs."""
