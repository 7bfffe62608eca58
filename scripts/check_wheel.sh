#!/usr/bin/env bash
# Proves that fashionai works without a checkout: builds the sdist and from it the wheel, installs
# the wheel in an empty environment in a scratch folder, and runs a small demo there. The bundle of the
# demo's run then computes in an environment with ONNX Runtime and OpenCV alone.
#
# usage: scripts/check_wheel.sh [--keep]
#   --keep   leave the scratch folder, which is under $TMPDIR or /tmp
set -euo pipefail

# shellcheck source=scripts/scratch.sh
source "$(dirname "${BASH_SOURCE[0]}")/scratch.sh"

"$root/scripts/setup.sh" --dev
make_scratch

logged() { # command ...
  "$@" >"$scratch/log" 2>&1 && return
  tail -n 20 "$scratch/log" >&2
  fail "failed: $*"
}

# The wheel is made of the sdist alone, so the sdist holds all that it needs.
build() {
  logged "$root/.venv/bin/python" -m build --outdir "$scratch/dist" "$root"
  wheel=$(echo "$scratch"/dist/*.whl)
  "$root/.venv/bin/python" -m zipfile -l "$wheel" | awk 'NR > 1 { print $1 }' >"$scratch/wheel.txt"
  tar -tzf "$scratch"/dist/*.tar.gz | sed 's,^[^/]*/,,' >"$scratch/sdist.txt"
}

check_contents() {
  local list file
  for list in "$scratch/wheel.txt" "$scratch/sdist.txt"; do
    for file in "$root"/configs/*.yaml fashionai/py.typed; do
      file=${file/#"$root"/fashionai}
      grep -qxF "$file" "$list" || fail "${list##*/}: $file is missing"
    done
    grep -qE '(^|/)LICENSE$' "$list" || fail "${list##*/}: the license is missing"
    if grep -E '(^|/)tests/' "$list"; then fail "${list##*/}: tests are in it"; fi
  done
}

install() {
  logged "$root/.venv/bin/python" -m venv "$scratch/venv"
  logged "$python" -m pip --disable-pip-version-check install "${wheel}[cpu,onnx]"
  # As setup.sh does where the libraries of a display are missing.
  if ! "$python" -c 'import cv2' 2>/dev/null; then
    local version
    version=$("$python" -c 'from importlib.metadata import version as v; print(v("opencv-python"))')
    logged "$python" -m pip uninstall -y opencv-python
    logged "$python" -m pip install "opencv-python-headless==$version"
  fi
}

fashionai() {
  echo "+ fashionai $*"
  logged "$scratch/venv/bin/fashionai" "$@"
}

demo() {
  local answers=data/demo/fashionAI_attributes_answer_a_20180428.csv
  mkdir "$scratch/work"
  cd "$scratch/work"
  unset PYTHONPATH
  "$python" -c 'import fashionai, sys; sys.exit(not fashionai.__file__.startswith(sys.prefix))' ||
    fail "the installed package is not the one that is imported"
  fashionai config --list
  cut -d ' ' -f 1 "$scratch/log" | diff - <(basename -s .yaml "$root"/configs/*.yaml) ||
    fail "config --list differs from configs/"
  fashionai config skirt
  fashionai config --schema
  fashionai demo --train-images 60 --test-images 12
  fashionai prepare --task skirt --data data/demo --out data/demo/train_valid
  fashionai init skirt --folder data/demo/train_valid
  fashionai config configs/skirt.yaml
  fashionai train --config demo model.name=small_cnn epochs=2 batch_size=16
  fashionai predict --task skirt --data data/demo --out submission.csv
  fashionai evaluate --predictions submission.csv --labels "$answers" --task skirt
  cat "$scratch/log"
}

bundle() {
  local bare=$scratch/bare/bin/python
  fashionai export --run runs/skirt --format bundle --out skirt.zip
  fashionai verify skirt.zip
  logged "$root/.venv/bin/python" -m venv "$scratch/bare"
  logged "$bare" -m pip --disable-pip-version-check install onnxruntime opencv-python-headless
  "$bare" -m zipfile -e skirt.zip bundle
  cd bundle
  "$bare" -I predict.py samples/*.png >found.jsonl
  "$bare" - <<'END' || fail "predict.py differs from predict in an environment without fashionai"
import json
import sys
from pathlib import Path

files = (Path("samples/expected.jsonl"), Path("found.jsonl"))
expected, found = ([json.loads(line) for line in file.open()] for file in files)
pairs = [
    (value, other["tasks"][task][name])
    for own, other in zip(expected, found)
    for task, classes in own["tasks"].items()
    for name, value in classes.items()
]
sys.exit(len(found) != len(expected) or any(abs(a - b) > 1e-4 for a, b in pairs))
END
}

echo "Building the sdist and the wheel"
build
check_contents
echo "Installing ${wheel##*/} in $scratch/venv ($("$root/.venv/bin/python" --version))"
install
demo
bundle
echo "The wheel works outside the checkout"
