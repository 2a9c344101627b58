# SPDX-License-Identifier: MIT
#
# What the scripts beside this file share: saying what is being done, installing Debian packages that are really
# missing, and the Python environment of the tests. It is sourced by bash, never run:
#
#     . "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
#     dx_need "${DX_BUILD_PACKAGES[@]}" "${DX_PYTHON_PACKAGES[@]}"
#     dx_venv                                  # leaves $DX_VENV/bin/python
#
# Sourcing it moves to the top of the repository ($DX_ROOT). Everything here costs nothing when it is run again.

set -euo pipefail

DX_ROOT=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd -P)
DX_VENV=$DX_ROOT/build/venv
DX_JOBS=${DX_JOBS:-$(nproc 2>/dev/null || echo 2)}
cd -- "$DX_ROOT"

DX_BUILD_PACKAGES=(gcc libc6-dev cmake ninja-build pkg-config libevent-dev libc-ares-dev
    libcurl4-openssl-dev libyaml-dev)
DX_TEST_PACKAGES=(check)
DX_TOOL_PACKAGES=(logrotate nghttp2-client strace valgrind wrk) # that tests of the real program use, and are skipped without
DX_BROWSER_PACKAGE=chromium-headless-shell # 100 MB, for one test file: .ci/run installs it, others may
DX_PROMETHEUS_PACKAGE=prometheus # promtool; 110 MB with what it needs, for one test file, so the same
DX_PYTHON_PACKAGES=(python3 python3-venv)

# What the presets fuzz and coverage need: the compiler's run-time library is a package of its own on Debian, named by
# version.
dx_need_clang_runtime() {
    dx_need clang llvm
    dx_need "libclang-rt-$(clang -dumpversion | cut -d. -f1)-dev"
}

dx_say() { printf '== %s\n' "$*"; }

dx_die() {
    printf 'error: %s\n' "$*" >&2
    exit 1
}

dx_as_root() {
    if [ "$(id -u)" -eq 0 ]; then
        "$@"
    elif command -v sudo >/dev/null; then
        sudo -- "$@"
    else
        dx_die "need root or sudo to run: $*"
    fi
}

# The newest rules of the Python packages under test ask for 3.11, which Ubuntu 22.04 has beside its python3.
dx_find_python() {
    local candidate
    for candidate in ${PYTHON:-} python3 python3.13 python3.12 python3.11; do
        if "$candidate" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            command -v "$candidate"
            return 0
        fi
    done
    return 1
}

# A package counts as there when what it brings works, wherever it came from.
dx_have() {
    case $1 in
    gcc | clang | cmake | cppcheck | clang-tidy | curl | strace | valgrind | wrk) command -v "$1" >/dev/null ;;
    libclang-rt-*-dev) printf 'int LLVMFuzzerTestOneInput(void) { return 0; }' |
        clang -fsanitize=fuzzer,address -x c - -o /dev/null 2>/dev/null ;;
    llvm) command -v llvm-symbolizer >/dev/null ;;
    ninja-build) command -v ninja >/dev/null ;;
    pkg-config) command -v pkg-config >/dev/null ;;
    libc6-dev) printf '#include <stdlib.h>\n' | cc -E -x c - >/dev/null 2>&1 ;;
    libevent-dev) pkg-config --exists libevent_core 2>/dev/null ;;
    libc-ares-dev) pkg-config --exists libcares 2>/dev/null ;;
    libcurl4-openssl-dev) pkg-config --exists libcurl 2>/dev/null ;;
    libyaml-dev) pkg-config --exists yaml-0.1 2>/dev/null ;;
    chromium-headless-shell) command -v chromium-headless-shell chromium google-chrome >/dev/null ;;
    prometheus) command -v promtool >/dev/null ;;
    nghttp2-client) command -v h2load >/dev/null ;;
    nodejs) command -v node >/dev/null ;;
    check) pkg-config --exists check 2>/dev/null ;;
    python3) command -v python3 >/dev/null ;;
    python3-venv | python3.11-venv) dx_find_python >/dev/null ;;
    *) dpkg-query -W -f '${db:Status-Abbrev}' "$1" 2>/dev/null | grep -q '^ii' ;;
    esac
}

# Installs those of the named Debian packages that are missing; does nothing and asks nobody when all are there.
dx_need() {
    local package missing=()
    for package in "$@"; do
        dx_have "$package" || missing+=("$package")
    done
    [ ${#missing[@]} -gt 0 ] || return 0
    command -v apt-get >/dev/null || dx_die "missing, and no apt-get to install it with: ${missing[*]}"
    [ "$(id -u)" -eq 0 ] || command -v sudo >/dev/null ||
        dx_die "missing, and neither root nor sudo to install it with: apt-get install ${missing[*]}"
    dx_say "installing ${missing[*]}"
    dx_as_root apt-get update -qq
    dx_apt_install "${missing[@]}"
    case " ${missing[*]} " in
    *" python3-venv "*) dx_find_python >/dev/null || dx_apt_install python3.11-venv ;;
    esac
    for package in "${missing[@]}"; do
        dx_have "$package" || dx_die "$package was installed but does not work"
    done
}

# The same for what can be done without and not every distribution has: a failure is said, no more.
dx_want() {
    (dx_need "$@") || dx_say "goes on without $*"
}

dx_apt_install() {
    dx_as_root env DEBIAN_FRONTEND=noninteractive DEBCONF_NOWARNINGS=yes \
        apt-get install -y -qq --no-install-recommends "$@" >/dev/null
}

# Makes build/venv hold what tests/requirements.txt asks for. The stamp is written last, so a run that was
# interrupted is taken up again; the lock lets two scripts ask at the same time. Where build/venv is a link, it is the
# environment of another tree, and whoever made the link answers for what is in it.
dx_venv() {
    [ ! -L "$DX_VENV" ] || return 0
    local requirements=$DX_ROOT/tests/requirements.txt python want
    python=$(dx_find_python) || dx_die "no Python 3.11 or newer with venv"
    mkdir -p "$DX_ROOT/build"
    want=$("$python" -c 'import sys; print(sys.executable, sys.version)'; cat "$requirements" tests/*/requirements.txt)
    (
        flock 9
        if [ -f "$DX_VENV/.stamp" ] && [ "$(cat "$DX_VENV/.stamp")" = "$want" ]; then
            exit 0
        fi
        dx_say "making the Python environment of the tests in ${DX_VENV#"$DX_ROOT"/}"
        rm -f "$DX_VENV/.stamp"
        "$python" -m venv --clear "$DX_VENV"
        "$DX_VENV/bin/python" -m pip install --quiet --disable-pip-version-check -r "$requirements"
        printf '%s\n' "$want" >"$DX_VENV/.stamp"
    ) 9>"$DX_ROOT/build/.venv.lock"
}

# dx_configure_and_build PRESET [TARGET...]: the build directory of a preset is build/PRESET.
dx_configure_and_build() {
    local preset=$1
    shift
    mkdir -p build
    if [ ! -f "build/$preset/build.ninja" ] || [ CMakePresets.json -nt "build/.$preset.log" ]; then
        dx_say "configuring build/$preset"
        cmake --preset "$preset" >"build/.$preset.log" 2>&1 || {
            cat "build/.$preset.log" >&2
            dx_die "cmake could not configure the preset $preset"
        }
    fi
    dx_say "building build/$preset"
    cmake --build "build/$preset" --parallel "$DX_JOBS" ${1:+--target "$@"}
}
