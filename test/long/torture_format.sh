#!/usr/bin/env bash
# Out of memory at every allocation of the format layer, under the address sanitizer (which counts
# what leaks).  The last line is "N passed, N failed".
set -u
cd "$(dirname "$0")/../.." || exit 1
dir=$(mktemp -d) || exit 1
trap 'rm -rf "$dir"' EXIT
${CC:-cc} -std=c17 -g -O1 -D_POSIX_C_SOURCE=200809L -D_DEFAULT_SOURCE -Isrc -Iinclude -ffp-contract=off \
    -fsanitize=address,undefined -fno-sanitize-recover=all -Wl,--wrap=calloc,--wrap=realloc \
    -o "$dir/torture" test/format/torture_format.c src/base/*.c src/quant/*.c src/format/*.c \
    -lpcre2-8 -lm -lpthread || { echo "0 passed, 1 failed"; exit 1; }
data=test/format/data
"$dir/torture" "$dir/adapter" $data/hf $data/hf-sharded $data/mlx $data/bnb $data/llama.gguf \
    $data/peft $data/mlx-lora || { echo "0 passed, 1 failed"; exit 1; }
