"""The names of the files of an export; this module imports no framework."""

DESCRIPTION_FILE = "model.json"
MODEL_FILE = "model.onnx"
ONNX_FILES = (MODEL_FILE,)
GLUON_FILES = ("model-symbol.json", "model-0000.params")
SAFETENSORS_FILES = ("model.safetensors",)
# The files beside model.json, by what its key "format" says. That of safetensors has no such key.
FILES = {"onnx": ONNX_FILES, "gluon": GLUON_FILES, None: SAFETENSORS_FILES}
