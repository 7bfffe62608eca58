#!/usr/bin/env bash
# Makes .venv in the repository root and installs fashionai there; does nothing when that is done.
#
# usage: scripts/setup.sh [--cpu|--gpu] [--dev]
#   --cpu, --gpu   which build of MXNet. By default the one that .venv has; in a new .venv
#                  the GPU build where there is an NVIDIA driver
#   --dev          also what the checks and the tests need
#
# The interpreter is $PYTHON, or else the first of python3, python3.12 ... python3.9 that fits.
# With $FASHIONAI_VENV it makes that environment in the repository root instead of .venv.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
venv=$root/${FASHIONAI_VENV:-.venv}
stamp=$venv/fashionai-setup           # written last: what a finished install was made of
unfinished=$venv/fashionai-unfinished # there while pip is at work
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

# Sets state to 'current', 'update' (install into the .venv that is there) or 'make'.
find_state() {
  read_stamp
  pyproject=$(sha256sum <"$root/pyproject.toml")
  version=$(version_of "$venv/bin/python")
  build=$wanted_build
  state='make'
  # A .venv that was moved or copied holds the old path in its scripts. What pip left unfinished
  # may look installed to the next pip, so that is not built upon either.
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
      # Not the link in a virtual environment, which may be the very .venv that is remade.
      python=$("$candidate" -c 'import os, sys; print(os.path.realpath(sys.executable))')
      "$python" -c 'import ensurepip, venv' 2>/dev/null ||
        fail 2 "$python lacks the venv module's parts; on Debian and Ubuntu run: apt-get install python$version-venv"
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
  # Before this line pip has only resolved and downloaded: nothing is half-written.
  grep -q '^Installing collected packages' "$log" || rm -f "$unfinished"
  tail -n 10 "$log" >&2
  fail "installing failed, with the words above; the whole log is in $log"
}

pip() { logged "$venv/bin/python" -m pip --disable-pip-version-check "$@"; }

# The two builds install the same files, and the GPU build's CUDA libraries take 3 GB on disk.
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
    fail 2 "MXNet needs $missing of the system; on Debian and Ubuntu run: apt-get install libgomp1 libquadmath0"
}

# The usual build of OpenCV has windows, and so asks for the libraries of a display.
check_opencv() {
  local error opencv
  error=$("$venv/bin/python" -c 'import cv2' 2>&1) && return
  [[ $error == *'cannot open shared object file'* ]] || fail "cv2 does not import: ${error##*$'\n'}"
  opencv=$("$venv/bin/python" -c 'from importlib.metadata import version; print(version("opencv-python"))')
  echo "opencv-python gives way to opencv-python-headless $opencv (${error##*$'\n'})"
  # Both write the folder cv2, so a headless one of an earlier call has to go as well.
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
  # A .venv that somebody else made may have come without pip.
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

# One at a time; pip inherits the lock, so it also outlives a script that is killed.
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
