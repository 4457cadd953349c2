#!/usr/bin/env bash
# Out of memory at every allocation of the format layer, under the address sanitizer (which counts
# what leaks).  The last line is "N passed, N failed".
set -u
cd "$(dirname "$0")/../.." || exit 1
dir=$(mktemp -d) || exit 1
trap 'rm -rf "$dir"' EXIT
build=$(realpath -m "${HN_BUILD:-build}")-asan # that of test/run --sanitize
{ [ -f "$build/CMakeCache.txt" ] || cmake -S . -B "$build" -DCMAKE_BUILD_TYPE=Debug -DHONE_SANITIZE=ON; } \
    >"$dir/log" 2>&1 && cmake --build "$build" --target torture_format >>"$dir/log" 2>&1 ||
    { tail "$dir/log"; echo "0 passed, 1 failed"; exit 1; }
data=test/format/data
"$build/torture_format" "$dir/adapter" $data/hf $data/hf-sharded $data/mlx $data/bnb $data/llama.gguf \
    $data/peft $data/mlx-lora || { echo "0 passed, 1 failed"; exit 1; }
