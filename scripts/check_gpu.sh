#!/usr/bin/env bash
# Checks and measures training with PyTorch on a GPU, in at most 8 minutes.
#
# usage: scripts/check_gpu.sh --prepare DIR [--packages 3.12|none] [--tiny]
#          On a machine with MXNet and the extra `dev`: writes all that the check needs into a
#          new folder, at most 60 MiB.
#        scripts/check_gpu.sh DIR [--out FOLDER] [--only PART,...] [--device gpu|cpu]
#          On a machine with PyTorch: needs this checkout and that folder, no network, no MXNet.
#
# Results are FOLDER/check_gpu.json, a table in check_gpu.md and the log check_gpu.log. The exit code
# is 1 when a part fails. The interpreter is $PYTHON, else that of .venv, else python3.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
python=${PYTHON:-$root/.venv/bin/python}
[[ -n ${PYTHON:-} || -x $python ]] || python=python3
PYTHONPATH=$root:$root/scripts${PYTHONPATH:+:$PYTHONPATH} exec "$python" -m gpu_check "$@"
