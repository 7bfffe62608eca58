#!/usr/bin/env bash
# Checks that the extra `gpu` needs nothing from the system except NVIDIA's driver: installs it into
# an empty virtual environment (2.3 GB to download, 5 GB on disk) and imports MXNet there.
#
# usage: scripts/check_gpu_install.sh [--keep]
#   --keep   keep the scratch folder, which is below $TMPDIR or /tmp
#
# On a machine without the driver, gcc builds a stub of it that reports no GPU.
# The interpreter is $PYTHON, or python3 if that is not set.
set -euo pipefail

# shellcheck source=scripts/scratch.sh
source "$(dirname "${BASH_SOURCE[0]}")/scratch.sh"
for tool in gcc nm; do
  command -v "$tool" >/dev/null || fail "needs $tool; on Debian and Ubuntu run: apt-get install gcc" 2
done

make_scratch

install() {
  # Build a copy, because building in place would leave a folder build/ in the checkout.
  mkdir "$scratch/source"
  cp -R "$root/pyproject.toml" "$root/README.md" "$root/fashionai" "$root/configs" "$scratch/source"
  "${PYTHON:-python3}" -m venv "$scratch/venv"
  echo "Installing fashionai[gpu] in $scratch/venv ($("$python" --version))"
  if ! "$python" -m pip install "$scratch/source[gpu]" >"$scratch/pip.log" 2>&1; then
    tail -n 20 "$scratch/pip.log" >&2
    fail "pip could not install fashionai[gpu]"
  fi
}

# Builds a libcuda.so.1 with all driver functions that the installed libraries link to.
make_stub() {
  local site library
  site=$("$python" -c 'import sysconfig; print(sysconfig.get_paths()["purelib"])')
  mkdir "$scratch/stub"
  {
    echo 'int cuInit(unsigned flags) { return 100; }  /* CUDA_ERROR_NO_DEVICE */'
    echo 'int cuDriverGetVersion(int *version) { *version = 11080; return 0; }'
    # Driver functions have an upper-case letter after cu (cuInit, cuLaunchKernel). Others, such as
    # cudaMalloc and cublasCreate, belong to libraries that are installed as wheels.
    for library in "$site"/mxnet/*.so* "$site"/nvidia/*/lib/*.so*; do
      nm -D --undefined-only "$library"
    done | sed -nE 's/^ +U (cu[A-Z]\w*).*/\1/p' | sort -u |
      sed -E '/^(cuInit|cuDriverGetVersion)$/d; s/.*/int &(void) { return 3; }/'
  } >"$scratch/stub/stub.c"
  gcc -shared -fPIC -Wl,-soname,libcuda.so.1 -o "$scratch/stub/libcuda.so.1" "$scratch/stub/stub.c"
}

# Option -I and an own library path keep this checkout and other installations of CUDA out.
run() { # library path, program
  (cd / && LD_LIBRARY_PATH=$1 "$python" -I -c "$2")
}

import_program='
from fashionai.frameworks.mxnet import import_mxnet
mx = import_mxnet()
print(mx.__version__, mx.context.num_gpus())
'
# A Cholesky factorization on the CPU calls Fortran BLAS, which NVBLAS would intercept if it were
# loaded. nvrtc and cuDNN load further libraries at their first use; these calls need no GPU.
use_program='
import ctypes, pathlib, re, sys
from fashionai.frameworks.mxnet import import_mxnet
mx = import_mxnet()
square = mx.nd.ones((600, 600), dtype="float64") + 600 * mx.nd.eye(600, dtype="float64")
factor = mx.nd.linalg.potrf(square)
error = mx.nd.abs(mx.nd.linalg.gemm2(factor, factor, transpose_b=True) - square).max().asscalar()
assert error < 1e-6, error
nvrtc, program = ctypes.CDLL("libnvrtc.so.11.2"), ctypes.c_void_p()
source = b"__global__ void one(float *x) { *x = 1; }"
assert nvrtc.nvrtcCreateProgram(ctypes.byref(program), source, b"one.cu", 0, None, None) == 0
assert nvrtc.nvrtcCompileProgram(program, 0, None) == 0
cudnn = ctypes.CDLL("libcudnn.so.8")
assert cudnn.cudnnCnnTrainVersionCheck() == cudnn.cudnnAdvTrainVersionCheck() == 0
maps = pathlib.Path("/proc/self/maps").read_text().splitlines()
files = {line.split(maxsplit=5)[-1] for line in maps if ".so" in line}
cuda = re.compile(r".*/lib(cu(?!da\.so)|nv(?!idia-)|nccl)[^/]*")
strays = sorted(file for file in files if cuda.fullmatch(file) and not file.startswith(sys.prefix))
assert not strays, f"not from the wheels: {strays}"
'

has_driver() {
  PATH=$PATH:/usr/sbin:/sbin ldconfig -p 2>/dev/null | grep -F libcuda.so.1 >/dev/null
}

install
if has_driver; then
  answer=$(run '' "$import_program") || fail "MXNet does not import with this machine's driver"
  run '' "$use_program"
  echo "With this machine's driver: MXNet ${answer% *} imports and finds ${answer#* } GPUs"
  echo "The message for a machine without a driver was not tested: this machine has one"
  exit
fi

make_stub
answer=$(run "$scratch/stub" "$import_program") || fail "MXNet does not import with a stub of the driver"
[[ $answer == '1.9.1 0' ]] || fail "expected MXNet 1.9.1 and 0 GPUs, got: $answer"
run "$scratch/stub" "$use_program"
echo "With a stub of the driver: MXNet 1.9.1 imports and finds 0 GPUs; none of the system's CUDA libraries is loaded"

if message=$(run '' "$import_program" 2>&1); then fail "MXNet imports without a driver"; fi
message=${message##*$'\n'}
expected='fashionai.errors.InstallationError: the GPU build of MXNet is installed but there is no NVIDIA driver'
[[ $message == "$expected"* ]] || fail "expected '$expected ...', got: $message"
echo "Without a driver: ${message#*: }"
