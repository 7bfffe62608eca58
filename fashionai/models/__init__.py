"""Networks of the Gluon and GluonCV model zoos and of this project."""
