"""The names of the engines; importing them imports no engine, and no MXNet."""

EXACT_ENGINES = ("gluon", "fused", "onnx")
ENGINES = (*EXACT_ENGINES, "int8")
# The fastest exact one.
AUTO = "auto"
