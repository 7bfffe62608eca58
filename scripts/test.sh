#!/usr/bin/env bash
# Installs what the checks and tests need, then runs the static checks and the tests.
#
# usage: scripts/test.sh [pytest arguments]
#
# Paths among pytest's arguments are relative to the repository root.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
./scripts/setup.sh --dev
# With --markers pytest parses its arguments but collects no test, so a mistyped option is reported
# before the checks run.
problem=$(.venv/bin/pytest --markers "$@" 2>&1 >/dev/null |
  sed -n 's/^.*: error: //p') || true
if [[ -n $problem ]]; then
  echo "test.sh: $problem; usage: scripts/test.sh [pytest arguments]" >&2
  exit 2
fi
./scripts/check.sh
# Up to four processes; tests/conftest.py gives each one thread.
exec .venv/bin/pytest -n auto --maxprocesses 4 --dist loadfile "$@"
