#!/usr/bin/env bash
# The NEON kernels, on a machine that has none: everything is cross-built for 64-bit ARM, and the
# tests of kernels and of golden models run under qemu-user, on a processor with every extension that
# qemu has and on one of the first generation; at last hone writes the same text there as here.
#
# Needs aarch64-linux-gnu-gcc and qemu-aarch64; the arm64 libraries are Debian's packages, unpacked
# beside the build with indexes of their own, so that the system's packages stay as they are.  What
# cannot be had is said: a failure under CI, nothing elsewhere.  The last line is "N passed, N failed".
set -u
cd "$(dirname "$0")/../.." || exit 1
build=$(realpath -m "${HN_BUILD:-build}")
arm=$build-arm64
export HONE_ARM64_ROOT=$arm-root
libs=$HONE_ARM64_ROOT/usr/lib/aarch64-linux-gnu
passed=0 failed=0

finish() {
    echo "$passed passed, $failed failed"
    [ "$failed" -eq 0 ]
    exit
}

lacking() { # what
    echo "the NEON level was not tested: $1"
    [ -z "${CI:-}" ] || failed=1
    finish
}

unpack_libraries() {
    local apt=$arm-apt options
    [ -e "$libs/libcmocka.so.0" ] && return
    mkdir -p "$apt/state/lists/partial" "$apt/cache/archives/partial" "$apt/deb" "$HONE_ARM64_ROOT"
    : >"$apt/status"
    options=(-q -o APT::Architecture=arm64 -o APT::Architectures=arm64 -o APT::Sandbox::User=
        -o Dir::State="$apt/state" -o Dir::State::status="$apt/status" -o Dir::Cache="$apt/cache")
    apt-get "${options[@]}" update >"$apt/log" 2>&1 || return
    (cd "$apt/deb" && apt-get "${options[@]}" download libyaml-dev libpcre2-dev libutf8proc-dev \
        libcmocka-dev libcmocka0) >>"$apt/log" 2>&1 || return
    for deb in "$apt"/deb/*.deb; do
        dpkg-deb -x "$deb" "$HONE_ARM64_ROOT" || return
    done
}

emulate() { # CPU PROGRAM ARGUMENTS…
    local cpu=$1
    shift
    qemu-aarch64 -cpu "$cpu" -L /usr/aarch64-linux-gnu -E LD_LIBRARY_PATH="$libs" "$@"
}
export -f emulate
export libs arm

run_test() { # CPU LEVEL PROGRAM LOGS: every level with LEVEL ""
    local log="$4/$1.$2.$3"
    export HONE_TEST_EMULATED=1 # speeds mean nothing
    [ -z "$2" ] || export HONE_TEST_LEVEL=$2
    (cd test && timeout -k 5 "${HN_TIMEOUT:-600}" bash -c 'emulate "$@"' - "$1" "$arm/test/$3") >"$log" 2>&1
    echo "$?" >"$log.status"
}
export -f run_test

command -v aarch64-linux-gnu-gcc >/dev/null || lacking "aarch64-linux-gnu-gcc is not installed"
command -v qemu-aarch64 >/dev/null || lacking "qemu-aarch64 is not installed (Debian: qemu-user)"
command -v apt-get >/dev/null || lacking "without apt-get there are no arm64 libraries"
unpack_libraries || lacking "the arm64 packages cannot be had ($(tail -n 1 "$arm-apt/log"))"

jobs=$(nproc 2>/dev/null || echo 2)
tests='test_matmul test_igemm test_linear test_head test_vector test_ops test_golden_forward
       test_golden_gradient'
# shellcheck disable=SC2086
mkdir -p "$arm"
generator=()
command -v ninja >/dev/null && generator=(-G Ninja)
if ! { cmake "${generator[@]}" -S . -B "$arm" -DCMAKE_TOOLCHAIN_FILE="$PWD/cmake/aarch64-linux.cmake" &&
    cmake --build "$arm" -j "$jobs" --target hone $tests; } >"$arm/build.log" 2>&1; then
    grep -E 'error|undefined reference' "$arm/build.log" | head -20
    echo "the build for 64-bit ARM failed (all of it: $arm/build.log)"
    failed=1
    finish
fi

logs=$(mktemp -d) || exit 1
trap 'rm -rf "$logs"' EXIT
# C's kernels run once, under another compiler than usual; the others run at one level: the first
# processor's only one, or those of the other that have kernels of their own.
# One at a time on two processors: the tests have threads of their own.
printf '%s\n' 'cortex-a72:neon:test_ops' 'cortex-a72:neon:test_head' 'max:neon_i8mm:test_linear' \
    'max:neon_i8mm:test_golden_forward' 'max:neon_dot:test_igemm' 'max:neon_i8mm:test_igemm' \
    'cortex-a72:neon:test_golden_gradient' 'cortex-a72:neon:test_golden_forward' \
    'cortex-a72:neon:test_linear' \
    'max::test_matmul' 'cortex-a72:neon:test_matmul' 'max::test_vector' \
    'cortex-a72:neon:test_vector' |
    xargs -P $(((jobs + 1) / 2)) -I{} bash -c 'IFS=: read -r c l t <<<"$1"; run_test "$c" "$l" "$t" "$2"' - {} "$logs"
for status in "$logs"/*.status; do
    log=${status%.status}
    p=$(grep -c '^\[       OK \]' "$log")
    q=$(sed -n 's/^\[  FAILED  \] \([0-9]*\) test.*/\1/p' "$log" | tail -n 1)
    [ "$(cat "$status")" -eq 0 ] && [ "$p" -gt 0 ] || q=${q:-1}
    passed=$((passed + p)) failed=$((failed + ${q:-0}))
    if [ "${q:-0}" -gt 0 ]; then
        echo "---- ${log##*/} (status $(cat "$status")):"
        tail -n 40 "$log"
    fi
done

# The same tokens as on this machine.
tokens() { sed -n 's/.*"token_ids": \(\[[^]]*\]\).*/\1/p'; }
for model in mlx-q4 gguf-q4_1/model.gguf qwen3 bnb-nf4; do
    command=(generate --model "test/golden/$model" --prompt abcABC --max-tokens 24
        --ignore-chat-template --json)
    here=$("$build/hone" "${command[@]}" 2>"$logs/here" | tokens)
    there=$(emulate max,pauth-impdef=on "$arm/hone" "${command[@]}" 2>"$logs/there" | tokens)
    if [ -n "$here" ] && [ "$here" = "$there" ]; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        cat "$logs/here" "$logs/there"
        printf '%s: here and there hone writes\n%s\n%s\n' "$model" "$here" "$there"
    fi
done
finish
