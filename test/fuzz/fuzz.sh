#!/usr/bin/env bash
# Build and run the fuzz targets of this folder with libFuzzer, under the sanitizers.
#
#   test/fuzz/fuzz.sh [-t SECONDS] [-o DIR] [TARGET...]      all targets, 60 seconds each, /tmp/hone-fuzz
#
# Finds are left in DIR/TARGET/.  Without clang, each target replays its seeds only (fuzz_main.c).
set -eu
root=$(cd "$(dirname "$0")/../.." && pwd)
seconds=60 out=/tmp/hone-fuzz
while getopts t:o: option; do
    case $option in
    t) seconds=$OPTARG ;;
    o) out=$OPTARG ;;
    *) exit 2 ;;
    esac
done
shift $((OPTIND - 1))
[ $# -gt 0 ] || set -- $(cd "$root/test/fuzz" && ls fuzz_*.c | grep -v fuzz_main | sed 's/\.c$//')

data=$root/test/format/data
join() { # FILE...: one input of several files
    local first=1
    for f in "$@"; do
        [ $first ] || printf '\n%%%%\n'
        first=
        cat "$f"
    done
}
seed() { # TARGET DIR: small inputs to begin from
    case $1 in
    fuzz_safetensors) cp "$data"/peft/adapter_model.safetensors "$data"/mlx-lora/adapters.safetensors "$2" ;;
    fuzz_gguf) cp "$data"/types.gguf "$data"/llama.gguf "$2" ;;
    fuzz_bundle)
        cp "$data"/llama.gguf "$2"
        join "$data"/mlx/config.json "$data"/mlx/model.safetensors >"$2/mlx"
        join "$data"/bnb/config.json "$data"/bnb/model.safetensors >"$2/bnb"
        join "$data"/hf/config.json "$data"/peft/adapter_model.safetensors \
            "$data"/hf/generation_config.json >"$2/hf"
        ;;
    fuzz_adapter)
        join "$data"/peft/adapter_config.json "$data"/peft/adapter_model.safetensors >"$2/peft"
        join "$data"/mlx-lora/adapter_config.json "$data"/mlx-lora/adapters.safetensors >"$2/mlx"
        ;;
    fuzz_config) printf 'lora_parameters: {rank: 8, scale: 2.0, dropout: 0}\noptimizer_config:\n  adamw: {betas: [0.9, 0.98]}\nmodel: "a\\x41"\n' >"$2/mlx" ;;
    fuzz_tokenizer_json | fuzz_tokenizer_model | fuzz_tokenizer_gguf)
        printf 'Hello <s> w\303\266rld  12\n' >"$2/../text"
        for f in "$root"/test/text/tokenizers/*."${1#fuzz_tokenizer_}"; do
            join "$f" "$2/../text" >"$2/$(basename "$f")"
        done
        rm "$2/../text"
        ;;
    fuzz_jinja) cp "$root"/test/jinja/templates/*.jinja "$2" ;;
    fuzz_migrate) # the first byte is the kind of file
        for f in "$root"/test/migrate/in/*; do
            case $f in *.py) kind=0 ;; *.ipynb) kind=1 ;; *.json) kind=2 ;; *) kind=3 ;; esac
            { printf %s "$kind"; cat "$f"; } >"$2/${f##*/}"
        done
        ;;
    fuzz_records) cp "$root"/examples/travel/*.jsonl "$2" 2>/dev/null || true ;;
    fuzz_rows)
        printf '\x00{"a": 1}\n\n[2]' >"$2/lines"
        printf '\x01[{"a": [1, "]"]}, {}\n]' >"$2/array"
        printf '\x02a,"b"\n1,"x""\n"\n' >"$2/cells"
        ;;
    esac
}

for target; do
    dir=$out/$target
    mkdir -p "$dir/corpus" "$dir/seeds"
    rm -rf "/dev/shm/hone-fuzz-"*
    seed "$target" "$dir/seeds"
    layers='base quant format'
    grep -q '"text/\|"data/' "$root/test/fuzz/$target.c" && layers="$layers jinja text data"
    grep -q '"conf/' "$root/test/fuzz/$target.c" && layers='base conf'
    grep -q '"hone/migrate' "$root/test/fuzz/$target.c" && layers='base conf migrate'
    sources=
    for l in $layers; do sources="$sources $(ls "$root"/src/$l/*.c)"; done
    flags="-std=c17 -g -O1 -D_POSIX_C_SOURCE=200809L -D_DEFAULT_SOURCE -I$root/src -I$root/include"
    flags="$flags -I$root/test/fuzz -ffp-contract=off -fno-sanitize-recover=all"
    libs='-lpcre2-8 -lutf8proc -lyaml -lm -lpthread'
    if command -v clang >/dev/null; then
        # shellcheck disable=SC2086
        clang $flags -fsanitize=fuzzer,address,undefined -o "$dir/$target" \
            "$root/test/fuzz/$target.c" $sources $libs
        (cd "$dir" && ./"$target" -max_total_time="$seconds" -max_len=65536 -rss_limit_mb=1024 \
            -malloc_limit_mb=256 -timeout=10 -print_final_stats=1 corpus seeds) \
            >"$dir/log" 2>&1 || { tail -40 "$dir/log"; exit 1; }
        grep -E 'stat::number_of_executed_units|cov:' "$dir/log" | tail -2
    else
        # shellcheck disable=SC2086
        cc $flags -fsanitize=address,undefined -o "$dir/$target" "$root/test/fuzz/$target.c" \
            "$root/test/fuzz/fuzz_main.c" $sources $libs
        (cd "$dir" && ./"$target" seeds/*)
    fi
    echo "$target: no finding"
done
rm -rf "/dev/shm/hone-fuzz-"*
