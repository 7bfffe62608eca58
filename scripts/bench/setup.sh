#!/usr/bin/env bash
# Installs the libraries that this project is compared with in .venv-bench: PyTorch, torchvision,
# timm and ONNX Runtime. This takes 5.5 GB where pip chooses PyTorch's CUDA build, as it does on
# x86_64. No GPU is needed.
#
# usage: scripts/bench/setup.sh
#
# To use another environment that has them, for instance with PyTorch's CPU build, set BENCH_PYTHON
# to its interpreter. The interpreter for .venv-bench is $PYTHON, or python3 if that is not set.
set -euo pipefail

if [[ $# -gt 0 ]]; then
  echo "setup.sh: takes no arguments, got '$1'; usage: scripts/bench/setup.sh" >&2
  exit 2
fi

cd "$(dirname "${BASH_SOURCE[0]}")/../.."
venv=.venv-bench

if [[ -z ${BENCH_PYTHON:-} && ! -e $venv/complete ]]; then
  "${PYTHON:-python3}" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || {
    echo "setup.sh: the libraries need Python 3.11 or later; set PYTHON=/path/to/python3.11" >&2
    exit 2
  }
  echo "Installing PyTorch, torchvision, timm and ONNX Runtime in $venv"
  rm -rf "$venv"
  "${PYTHON:-python3}" -m venv "$venv"
  echo '*' >"$venv/.gitignore"
  "$venv/bin/python" -m pip --disable-pip-version-check install --quiet \
    torch==2.14.1 torchvision==0.29.1 timm==1.0.31 \
    onnx==1.23.2 onnxscript==0.7.2 onnxruntime==1.32.0
  touch "$venv/complete"
fi
