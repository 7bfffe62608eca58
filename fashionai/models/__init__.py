"""Networks of the Gluon and GluonCV zoos, and their weights."""
