#!/usr/bin/env bash
# Compares converted networks with the originals in PyTorch, and prints the differences.
#
# Installs PyTorch, torchvision and timm in .venv-torch, then runs the tests marked `torch`. The
# installation takes 5.5 GB where pip chooses PyTorch's CUDA build, as it does on x86_64; no GPU is
# needed. The tests take half an hour.
#
# usage: scripts/test_conversion.sh [pytest arguments]
#
# To use another environment that has all three, for instance with PyTorch's CPU build, set
# TORCH_PYTHON to its interpreter. The interpreter for .venv-torch is $PYTHON, or python3 if that
# is not set.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
venv=.venv-torch
./scripts/setup.sh --dev

if [[ -z ${TORCH_PYTHON:-} ]]; then
  export TORCH_PYTHON=$PWD/$venv/bin/python
  if [[ ! -e $venv/complete ]]; then
    "${PYTHON:-python3}" -c 'import sys; sys.exit(sys.version_info < (3, 10))' 2>/dev/null || {
      echo "test_conversion.sh: PyTorch needs Python 3.10 or later; set PYTHON=/path/to/python3.11" >&2
      exit 2
    }
    echo "Installing PyTorch, torchvision and timm in $venv"
    rm -rf "$venv"
    "${PYTHON:-python3}" -m venv "$venv"
    echo '*' >"$venv/.gitignore"
    "$TORCH_PYTHON" -m pip --disable-pip-version-check install --quiet \
      torch==2.14.1 torchvision==0.29.1 timm==1.0.31 safetensors
    touch "$venv/complete"
  fi
fi
exec .venv/bin/pytest tests/conversion/test_torch.py -m torch -s "$@"
