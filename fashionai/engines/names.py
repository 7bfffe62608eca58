"""The names of the engines. Importing this module imports neither engines nor MXNet."""

EXACT_ENGINES = ("gluon", "fused", "onnx")
ENGINES = (*EXACT_ENGINES, "int8")
# Stands for the fastest exact engine.
AUTO = "auto"
