#!/usr/bin/env bash
# Measures every row of the table whose result is missing or older than its script, then prints
# the table: 40 minutes on 2 cores that have nothing else to do, --quick 10 minutes.
#
# usage: scripts/bench/all.sh [--quick]
#
# Results are build/bench/results/*.json; remove one to measure it again. --quick tries every script
# on a few images: its figures, in build/bench/quick, mean nothing and are not kept. BENCH_PYTHON is
# an interpreter that has the peers, in place of that of scripts/bench/setup.sh.
set -euo pipefail

quick=()
results=build/bench/results
for argument; do
  if [[ $argument != --quick ]]; then
    echo "all.sh: unknown argument '$argument'; usage: scripts/bench/all.sh [--quick]" >&2
    exit 2
  fi
  quick=(--quick)
  results=build/bench/quick
done

cd "$(dirname "${BASH_SOURCE[0]}")/../.."
./scripts/setup.sh --dev
./scripts/bench/setup.sh
if [[ ${#quick[@]} -gt 0 ]]; then
  rm -rf "$results"
fi
mkdir -p "$results"

failed=()
for name in peak train_loop train_tutorial train_torchvision loader ten_crop ten_crop_int8 \
  accuracy_int8 forward_onnx export_onnx head_epoch memory prepare growth; do
  script=scripts/bench/$name.py
  if [[ ! $results/$name.json -nt $script ]]; then
    # What libraries say goes to a file, and is shown when there is no result.
    if ! .venv/bin/python "$script" "${quick[@]+"${quick[@]}"}" --out "$results" \
      2>"$results/$name.log"; then
      tail -n 20 "$results/$name.log" >&2
      failed+=("$name")
    fi
  fi
done

.venv/bin/python scripts/bench/table.py "$results"
if [[ ${#failed[@]} -gt 0 ]]; then
  echo "all.sh: failed: ${failed[*]}" >&2
  exit 1
fi
