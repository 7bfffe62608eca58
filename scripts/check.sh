#!/usr/bin/env bash
# Runs all static checks, and fails if one of them fails.
#
# usage: scripts/check.sh
set -euo pipefail

if [[ $# -gt 0 ]]; then
  echo "check.sh: takes no arguments, got '$1'; usage: scripts/check.sh" >&2
  exit 2
fi

cd "$(dirname "${BASH_SOURCE[0]}")/.."
./scripts/setup.sh --dev

failed=()
check() { # command ...
  echo "== $*"
  ".venv/bin/$1" "${@:2}" || failed+=("$*")
}
check ruff check .
check ruff format --check .
check mypy
check lint-imports
check python scripts/make_docs.py --check

if [[ ${#failed[@]} -gt 0 ]]; then
  printf 'check.sh: failed: %s\n' "${failed[@]}" >&2
  exit 1
fi
