#!/usr/bin/env bash
# Makes .venv in the repository root and installs fashionai there. A finished installation that is
# up to date is left as it is.
#
# usage: scripts/setup.sh [--cpu|--gpu] [--dev]
#   --cpu, --gpu   the build of MXNet to install. Default: the build that .venv has; for a new
#                  .venv the GPU build if the machine has an NVIDIA driver, else the CPU build
#   --dev          also install what the checks and the tests need
#
# The interpreter is $PYTHON, or the first supported one of python3, python3.12 ... python3.9.
# With $FASHIONAI_VENV it makes that environment in the repository root instead of .venv.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
venv=$root/${FASHIONAI_VENV:-.venv}
stamp=$venv/fashionai-setup           # written last: the inputs of a finished installation
unfinished=$venv/fashionai-unfinished # exists while pip installs
log=$venv/fashionai-setup.log

fail() { # [exit code] message
  local code=1
  if [[ $1 =~ ^[0-9]+$ ]]; then code=$1 && shift; fi
  echo "setup.sh: $1" >&2
  exit "$code"
}

parse_arguments() {
  wanted_build='' dev=no
  local argument
  for argument in "$@"; do
    case $argument in
      --cpu | --gpu)
        [[ -z $wanted_build || --$wanted_build == "$argument" ]] ||
          fail 2 "give one of --cpu and --gpu"
        wanted_build=${argument#--}
        ;;
      --dev) dev=yes ;;
      *) fail 2 "unknown argument '$argument'; usage: scripts/setup.sh [--cpu|--gpu] [--dev]" ;;
    esac
  done
}

version_of() { "$1" -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null || true; }

supported() { [[ $1 =~ ^3\.(9|10|11|12)$ ]]; }

read_stamp() {
  stamped_pyproject='' stamped_build='' stamped_dev='' stamped_version='' stamped_root=''
  if [[ -f $stamp ]]; then
    {
      read -r stamped_pyproject && read -r stamped_build && read -r stamped_dev &&
        read -r stamped_version && IFS= read -r stamped_root
    } <"$stamp" || true
  fi
}

# Sets state to 'current', 'update' (install into the existing .venv) or 'make'.
find_state() {
  read_stamp
  pyproject=$(sha256sum <"$root/pyproject.toml")
  version=$(version_of "$venv/bin/python")
  build=$wanted_build
  state='make'
  # The scripts in a .venv that was moved or copied contain the old path, and packages that pip left
  # unfinished may look installed to the next pip. Both need a new .venv.
  if [[ ! -e $unfinished && ${stamped_root:-$root} == "$root" ]] && supported "$version" &&
    [[ -z ${PYTHON:-} || $(version_of "$PYTHON") == "$version" ]]; then
    state=update
    build=${wanted_build:-$stamped_build}
    if [[ $stamped_dev == yes ]]; then dev=yes; fi
    if [[ "$pyproject $build $dev $version $root" == \
      "$stamped_pyproject $stamped_build $stamped_dev $stamped_version $stamped_root" ]]; then
      state='current'
    fi
  fi
}

find_python() {
  local candidate found='' candidates=(python3 python3.12 python3.11 python3.10 python3.9)
  if [[ -n ${PYTHON:-} ]]; then candidates=("$PYTHON"); fi
  for candidate in "${candidates[@]}"; do
    version=$(version_of "$candidate")
    if supported "$version"; then
      # Resolve the link of a virtual environment: it may be the .venv that is about to be deleted.
      python=$("$candidate" -c 'import os, sys; print(os.path.realpath(sys.executable))')
      "$python" -c 'import ensurepip, venv' 2>/dev/null ||
        fail 2 "$python cannot make virtual environments: the module venv or ensurepip is missing; on Debian and Ubuntu run: apt-get install python$version-venv"
      return
    fi
    if [[ -n $version ]]; then found+="${found:+, }$candidate is Python $version"; fi
  done
  fail 2 "needs Python 3.9 to 3.12; found: ${found:-no ${PYTHON:-python3} that runs}. Install one, or set PYTHON=/path/to/python3.11"
}

has_driver() {
  nvidia-smi -L >/dev/null 2>&1 ||
    PATH=$PATH:/usr/sbin:/sbin ldconfig -p 2>/dev/null | grep -F libcuda.so.1 >/dev/null
}

make_venv() {
  rm -rf "$venv"
  mkdir "$venv"
  touch "$unfinished"
  "$python" -m venv "$venv" >"$log" 2>&1 || fail "could not make $venv: $(tail -n 1 "$log")"
}

logged() { # command ...
  "$@" >>"$log" 2>&1 && return
  # Before it prints this line, pip only resolves and downloads: nothing is partly installed.
  grep -q '^Installing collected packages' "$log" || rm -f "$unfinished"
  tail -n 10 "$log" >&2
  fail "installation failed; the end of the log is above, the whole log is in $log"
}

pip() { logged "$venv/bin/python" -m pip --disable-pip-version-check "$@"; }

# Both builds install the same files, and the CUDA libraries of the GPU build take 3 GB on disk.
remove_other_build() {
  local packages=(mxnet mxnet-cu112) other=mxnet name
  if [[ $build == cpu ]]; then other=mxnet-cu112; fi
  "$venv/bin/python" -m pip show -q "$other" >/dev/null 2>&1 || return 0
  while IFS= read -r name; do packages+=("$name"); done < <(
    "$venv/bin/python" -m pip list --format=freeze 2>/dev/null | sed -n 's/^\(nvidia-.*-cu11\)==.*/\1/p'
  )
  pip uninstall -y "${packages[@]}"
}

check_system_libraries() {
  local missing
  missing=$(ldd "$venv/lib/python$version/site-packages/mxnet/libmxnet.so" 2>/dev/null |
    sed -nE 's/^\s*(lib(gomp|quadmath)\.so\S*) => not found/\1/p' | sort -u | paste -sd ' ') || true
  [[ -z $missing ]] ||
    fail 2 "MXNet needs the system libraries $missing; on Debian and Ubuntu run: apt-get install libgomp1 libquadmath0"
}

# The package opencv-python supports windows and therefore needs the libraries of a display.
check_opencv() {
  local error opencv
  error=$("$venv/bin/python" -c 'import cv2' 2>&1) && return
  [[ $error == *'cannot open shared object file'* ]] || fail "cv2 does not import: ${error##*$'\n'}"
  opencv=$("$venv/bin/python" -c 'from importlib.metadata import version; print(version("opencv-python"))')
  echo "Replacing opencv-python with opencv-python-headless $opencv (${error##*$'\n'})"
  # Both packages write the folder cv2, so remove a headless build from an earlier call as well.
  pip uninstall -y opencv-python opencv-python-headless
  pip install "opencv-python-headless==$opencv"
  logged "$venv/bin/python" -c 'import cv2'
}

install() {
  local extras=$build
  if [[ $dev == yes ]]; then extras+=,dev; fi
  rm -f "$stamp"
  touch "$unfinished"
  : >"$log"
  # A .venv that another tool made may lack pip.
  "$venv/bin/python" -c 'import pip' 2>/dev/null || logged "$venv/bin/python" -m ensurepip
  if [[ $state == update ]]; then remove_other_build; fi
  pip install --editable "${root}[$extras]"
  check_opencv
  rm -f "$unfinished"
  check_system_libraries
  printf '%s\n' "$pyproject" "$build" "$dev" "$version" "$root" >"$stamp.new"
  mv "$stamp.new" "$stamp"
}

parse_arguments "$@"
# What is unfinished there is deleted, so it may be no other folder.
[[ ${venv##*/} == .venv* && ${venv%/*} == "$root" ]] ||
  fail 2 "FASHIONAI_VENV is '$FASHIONAI_VENV', expected a name such as .venv-3.9"
find_state
if [[ $state == current ]]; then exit; fi

# One installation at a time. pip inherits the lock and keeps it even if this script is killed.
exec 9<"$root"
if command -v flock >/dev/null && ! flock -n 9; then
  echo "Waiting for another setup.sh to finish"
  flock 9
fi
find_state
if [[ $state == current ]]; then exit; fi
trap 'exit 130' INT TERM HUP

if [[ $state == make ]]; then find_python; fi
if [[ -z $build ]]; then
  if has_driver; then build=gpu; else build=cpu; fi
fi
with=''
if [[ $dev == yes ]]; then with=", with the tools for checks and tests"; fi
if [[ $build == gpu ]]; then with+=", 2.3 GB to download"; fi
echo "Installing fashionai in ${venv##*/} (Python $version, MXNet for the ${build^^}$with)"
if [[ $state == make ]]; then make_venv; fi
install
