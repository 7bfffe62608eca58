#!/usr/bin/env bash
# Runs the static checks, then the tests. Whatever they need is installed first.
#
# usage: scripts/test.sh [pytest arguments]
#
# Paths among pytest's arguments are relative to the repository root.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
./scripts/setup.sh --dev
# --markers ends before anything is collected, but after the arguments are read: a mistyped
# option is reported now and not after the checks.
problem=$(.venv/bin/pytest --markers "$@" 2>&1 >/dev/null |
  sed -n 's/^.*: error: //p') || true
if [[ -n $problem ]]; then
  echo "test.sh: $problem; usage: scripts/test.sh [pytest arguments]" >&2
  exit 2
fi
./scripts/check.sh
# A process for each of a few cores, each computing with one thread: half the time.
export OMP_NUM_THREADS=${OMP_NUM_THREADS:-1}
exec .venv/bin/pytest -n auto --maxprocesses 4 --dist loadfile "$@"
