#!/usr/bin/env bash
# Runs each benchmark whose result is missing or older than its script, then prints the table.
# Takes two hours on 2 idle cores, 10 minutes with --quick.
#
# usage: scripts/bench/all.sh [--quick]
#   --quick   try every script on a few images; the figures mean nothing, and the next call with
#             --quick deletes them
#
# The results are build/bench/results/*.json (with --quick build/bench/quick/*.json). Delete a file
# to measure it again. Set BENCH_PYTHON to the interpreter of an environment that has the peers to
# use it instead of the one that scripts/bench/setup.sh makes.
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
for name in peak train_loop train_tutorial train_torchvision train_mobilenet engines kept_memory \
  loader ten_crop ten_crop_int8 accuracy_int8 transfer_int8 families forward_onnx export_onnx head_epoch \
  memory prepare growth; do
  script=scripts/bench/$name.py
  if [[ ! $results/$name.json -nt $script ]]; then
    # The messages of libraries go to a file, which is shown when the script fails.
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
