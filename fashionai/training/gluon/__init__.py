"""Training with MXNet Gluon: the network, its optimizer and its inputs."""
