#!/usr/bin/env bash
# Sourced by scripts that work in a scratch folder. Reads their only option, --keep, from the
# script's arguments, and sets root, the checkout.
set -euo pipefail

fail() { # message [exit code]
  echo "${0##*/}: $1" >&2
  exit "${2:-1}"
}

# Makes the folder, sets scratch and the python of a virtual environment in it, and removes it
# when the script ends, unless --keep is given.
make_scratch() {
  scratch=$(mktemp -d)
  if [[ $keep == yes ]]; then
    trap 'echo "Kept $scratch"' EXIT
  else
    trap 'rm -rf "$scratch"' EXIT
  fi
  python=$scratch/venv/bin/python
}

keep=no
for argument in "$@"; do
  [[ $argument == --keep ]] ||
    fail "unknown argument '$argument'; usage: scripts/${0##*/} [--keep]" 2
  keep=yes
done
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
