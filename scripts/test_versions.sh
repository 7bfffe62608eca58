#!/usr/bin/env bash
# Runs the fast tests on the oldest and the newest Python, each in an environment of its own
# (.venv-3.9, .venv-3.12). One that is not installed is skipped, as is the one of .venv, whose
# tests scripts/test.sh runs.
#
# usage: scripts/test_versions.sh [pytest arguments]
#
# Interpreters are those of pyenv ($PYENV_ROOT or ~/.pyenv) or on the path. Fast tests are all but
# the files below, which train for long, build many networks, or test scripts and speed: what
# differs between versions of Python and of the libraries shows in the others as well. The
# environments have no PyTorch, which may take gigabytes each; its tests are skipped.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."

slow=(
  tests/cli/test_streams.py
  tests/config/test_schema.py
  tests/conversion/test_convert.py
  tests/demo
  tests/docs
  tests/doctor
  tests/engines
  tests/export
  tests/models
  tests/predictions/test_parts.py
  tests/reporting/report/test_command.py
  tests/scoring/test_bootstrap.py
  tests/scripts
  tests/serving
  tests/test_benchmark.py
  tests/test_changed_data.py
  tests/test_cross_validation.py
  tests/test_cross_validation_folders.py
  tests/test_cross_validation_resuming.py
  tests/test_data_sets.py
  tests/test_opened_once.py
  tests/test_own_tasks.py
  tests/test_quantization.py
  tests/test_soup.py
  tests/test_torch_installed.py
  tests/tracking
  tests/training/gluon/test_features.py
  tests/training/gluon/test_heads.py
  tests/training/gluon/test_mixed_precision.py
  tests/training/learners
  tests/training/records/test_history.py
  tests/training/speed/test_threads.py
  tests/training/test_imbalanced.py
  tests/training/test_lr_finder.py
  tests/training/test_parallel.py
  tests/training/test_refusals.py
  tests/training/test_resume.py
  tests/training/test_test_split.py
  tests/tuning/test_confirm.py
  tests/tuning/test_search.py
  tests/tuning/test_storage.py
  tests/weights
)

version_of() { "$1" -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null || true; }

find_python() { # version
  local candidate
  for candidate in "${PYENV_ROOT:-$HOME/.pyenv}/versions/$1".*/bin/python "python$1"; do
    # pyenv's own python3.9 on the path runs only where that version is chosen.
    if [[ $(version_of "$candidate") == "$1" ]]; then
      echo "$candidate"
      return
    fi
  done
}

for version in 3.9 3.12; do
  if [[ $(version_of .venv/bin/python) == "$version" ]]; then
    echo "Python $version: skipped, it is that of .venv"
    continue
  fi
  python=$(find_python "$version")
  if [[ -z $python ]]; then
    echo "Python $version: skipped, not found"
    continue
  fi
  FASHIONAI_VENV=.venv-$version PYTHON=$python ./scripts/setup.sh --cpu --dev --no-torch
  echo "== Python $version: the fast tests"
  ".venv-$version/bin/pytest" -n auto --maxprocesses 4 --dist loadfile \
    "${slow[@]/#/--ignore=}" "$@"
done
