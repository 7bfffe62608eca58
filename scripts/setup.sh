#!/usr/bin/env bash
# Makes .venv in the repository root and installs fashionai there. A finished installation that is
# up to date is left as it is.
#
# usage: scripts/setup.sh [--cpu|--gpu] [--torch|--no-torch] [--dev]
#   --cpu, --gpu   the build of MXNet to install. Default: the build that .venv has; for a new
#                  .venv the GPU build if all GPUs of the machine have a compute capability up to
#                  8.x, else the CPU build
#   --torch        also install PyTorch, with the CPU build of MXNet: MXNet's GPU build brings
#                  another NCCL in the same file. Default: what .venv has; for a new .venv PyTorch
#                  if a GPU has compute capability 9.0 or later, for which MXNet has no code
#   --no-torch     do not add PyTorch, as --dev and such a GPU do otherwise
#   --dev          also install what the checks and the tests need: PyTorch too, except beside the
#                  GPU build
#
# The interpreter is $PYTHON, or the first supported one of python3, python3.12 ... python3.9.
# With $FASHIONAI_VENV it makes that environment in the repository root instead of .venv.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
venv=$root/${FASHIONAI_VENV:-.venv}
stamp=$venv/fashionai-setup           # written last: the inputs of a finished installation
unfinished=$venv/fashionai-unfinished # exists while pip installs
log=$venv/fashionai-setup.log
usage='usage: scripts/setup.sh [--cpu|--gpu] [--torch|--no-torch] [--dev]'

# The version of PyTorch that the tests run with. Its CUDA 13 needs a driver of 580 or later. The
# older one is the last for Python 3.9, and its CUDA 12.8 runs with the drivers before 580.
torch_version=2.13.0
older_torch_version=2.8.0

fail() { # [exit code] message
  local code=1
  if [[ $1 =~ ^[0-9]+$ ]]; then code=$1 && shift; fi
  echo "setup.sh: $1" >&2
  exit "$code"
}

parse_arguments() {
  wanted_build='' wanted_torch='' wanted_dev=no
  local argument
  for argument in "$@"; do
    case $argument in
      --cpu | --gpu)
        [[ -z $wanted_build || --$wanted_build == "$argument" ]] ||
          fail 2 "give one of --cpu and --gpu"
        wanted_build=${argument#--}
        ;;
      --torch | --no-torch)
        [[ -z $wanted_torch || $wanted_torch == "$argument" ]] ||
          fail 2 "give one of --torch and --no-torch"
        wanted_torch=$argument
        ;;
      --dev) wanted_dev=yes ;;
      *) fail 2 "unknown argument '$argument'; $usage" ;;
    esac
  done
  [[ $wanted_build != gpu || $wanted_torch != --torch ]] ||
    fail 2 "--gpu and --torch exclude each other: both builds bring NCCL, in the same file; PyTorch uses the GPUs with --torch alone"
}

version_of() { "$1" -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null || true; }

supported() { [[ $1 =~ ^3\.(9|10|11|12)$ ]]; }

read_stamp() {
  stamped_pyproject='' stamped_build='' stamped_dev='' stamped_version='' stamped_root=''
  stamped_torch=''
  if [[ -f $stamp ]]; then
    {
      read -r stamped_pyproject && read -r stamped_build && read -r stamped_dev &&
        read -r stamped_version && IFS= read -r stamped_root && read -r stamped_torch
    } <"$stamp" || true
  fi
}

# Sets torch to the version of PyTorch that belongs in .venv, or to 'no'.
find_torch() {
  torch=no
  if [[ $build != cpu ]]; then return; fi
  if [[ $stamped_torch == "$torch_version" || $stamped_torch == "$older_torch_version" ]]; then
    torch=$stamped_torch
  elif [[ $wanted_torch == --torch || ${stamped_torch:-no} != no ||
    ($wanted_dev == yes && $wanted_torch != --no-torch) ]]; then
    torch=$torch_version
    if [[ $version == 3.9 ]] || driver_is_older; then torch=$older_torch_version; fi
  fi
}

driver_is_older() {
  local major
  major=$(nvidia-smi --query-gpu=driver_version --format=csv,noheader 2>/dev/null |
    sed -nE '1s/^([0-9]+)\..*/\1/p') || true
  [[ -n $major && $major -lt 580 ]]
}

# Sets state to 'current', 'update' (install into the existing .venv) or 'make'.
find_state() {
  read_stamp
  pyproject=$(sha256sum <"$root/pyproject.toml")
  version=$(version_of "$venv/bin/python")
  build=$wanted_build
  dev=$wanted_dev
  if [[ $wanted_torch == --torch ]]; then build=cpu; fi
  state='make'
  # The scripts in a .venv that was moved or copied contain the old path, and packages that pip left
  # unfinished may look installed to the next pip. Both need a new .venv.
  if [[ ! -e $unfinished && ${stamped_root:-$root} == "$root" ]] && supported "$version" &&
    [[ -z ${PYTHON:-} || $(version_of "$PYTHON") == "$version" ]]; then
    state=update
    build=${build:-$stamped_build}
    if [[ $stamped_dev == yes ]]; then dev=yes; fi
    find_torch
    if [[ "$pyproject $build $dev $version $root $torch" == \
      "$stamped_pyproject $stamped_build $stamped_dev $stamped_version $stamped_root $stamped_torch" ]]; then
      state='current'
    fi
  else
    stamped_torch=''
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

# Prints the compute capability of every GPU, such as 8.6, one per line. An nvidia-smi of before
# 2022 cannot tell it, and containers may lack the program; then the driver's library is asked.
compute_capabilities() {
  nvidia-smi --query-gpu=compute_cap --format=csv,noheader 2>/dev/null |
    grep -xE '[0-9]+\.[0-9]+' || "$1" -c '
import ctypes
cuda = ctypes.CDLL("libcuda.so.1")
count, device, value = ctypes.c_int(), ctypes.c_int(), ctypes.c_int()
cuda.cuInit(0)
cuda.cuDeviceGetCount(ctypes.byref(count))
for index in range(count.value):
    cuda.cuDeviceGet(ctypes.byref(device), index)
    numbers = []
    for attribute in (75, 76):  # CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR and _MINOR
        cuda.cuDeviceGetAttribute(ctypes.byref(value), attribute, device)
        numbers.append(str(value.value))
    print(".".join(numbers))
' 2>/dev/null || true
}

# Sets build, and wanted_torch where a GPU needs it. PyTorch runs on all GPUs of a machine with
# older and newer ones, and MXNet only on the older ones.
choose_build() { # python
  local capabilities newest
  capabilities=$(compute_capabilities "$1")
  newest=$(cut -d . -f 1 <<<"$capabilities" | sort -n | tail -n 1)
  build=cpu
  if [[ -n $newest && $newest -ge 9 ]]; then
    wanted_torch=${wanted_torch:---torch}
  elif [[ -n $newest ]]; then
    build=gpu
  elif has_driver; then
    build=gpu
    echo "There is an NVIDIA driver but it finds no GPU; for GPUs of compute capability 9.0 and later (H100, RTX 50) run: scripts/setup.sh --torch"
  fi
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

# Both builds of MXNet install the same files, as do the CUDA libraries of the GPU build (3 GB on
# disk) and those of PyTorch.
remove_other_build() {
  local packages=(mxnet mxnet-cu112) other='mxnet|torch' libraries='torch|triton|nvidia-.*|cuda-.*'
  local installed name
  if [[ $build == cpu ]]; then other=mxnet-cu112 libraries='nvidia-.*-cu11'; fi
  installed=$("$venv/bin/python" -m pip list --format=freeze 2>/dev/null | sed 's/==.*//')
  grep -qxE "$other" <<<"$installed" || return 0
  while IFS= read -r name; do packages+=("$name"); done < <(grep -xE "$libraries" <<<"$installed")
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
  local extras=$build versions=()
  if [[ $dev == yes ]]; then extras+=,dev; fi
  if [[ $torch != no ]]; then extras+=,torch versions=("torch==$torch"); fi
  rm -f "$stamp"
  touch "$unfinished"
  : >"$log"
  # A .venv that another tool made may lack pip.
  "$venv/bin/python" -c 'import pip' 2>/dev/null || logged "$venv/bin/python" -m ensurepip
  if [[ $state == update ]]; then remove_other_build; fi
  pip install --editable "${root}[$extras]" "${versions[@]+"${versions[@]}"}"
  check_opencv
  rm -f "$unfinished"
  check_system_libraries
  printf '%s\n' "$pyproject" "$build" "$dev" "$version" "$root" "$torch" >"$stamp.new"
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
if [[ -z $build ]]; then choose_build "${python:-$venv/bin/python}"; fi
find_torch
with=''
if [[ $torch != no ]]; then with=", PyTorch $torch with up to 4 GB to download"; fi
if [[ $dev == yes ]]; then with+=", with the tools for checks and tests"; fi
if [[ $build == gpu ]]; then with+=", 2.3 GB to download"; fi
echo "Installing fashionai in ${venv##*/} (Python $version, MXNet for the ${build^^}$with)"
if [[ $state == make ]]; then make_venv; fi
install
if [[ $PWD == "$root" ]]; then venv=${venv##*/}; fi
echo "Installed. To use fashionai in this terminal: source $(printf %q "$venv")/bin/activate"
