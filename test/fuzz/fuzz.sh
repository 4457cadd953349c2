#!/usr/bin/env bash
# Builds the fuzz targets of this folder under the sanitizers and runs them with libFuzzer, as many at
# a time as there are processors.  Without clang each replays its seeds only (fuzz_main.c).
#
#   test/fuzz/fuzz.sh [-t SECONDS] [-o DIR] [TARGET...]      all targets, 60 seconds each, /tmp/hone-fuzz
#
# Finds are left in DIR/TARGET/.  HN_BUILD names the build (build) beside which those with sanitizers
# lie.  The last line is "N passed, N failed".
set -u
root=$(cd "$(dirname "$0")/../.." && pwd)
cd "$root" || exit 1
seconds=60 out=/tmp/hone-fuzz
while getopts t:o: option; do
    case $option in
    t) seconds=$OPTARG ;;
    o) out=$OPTARG ;;
    *) exit 2 ;;
    esac
done
shift $((OPTIND - 1))
# shellcheck disable=SC2046
[ $# -gt 0 ] || set -- $(cd test/fuzz && ls fuzz_*.c | grep -v fuzz_main | sed 's/\.c$//')
jobs=${JOBS:-$(nproc 2>/dev/null || echo 2)}
build=$(realpath -m "${HN_BUILD:-build}")-asan
options=(-DCMAKE_BUILD_TYPE=Debug -DHONE_SANITIZE=ON)
if command -v clang >/dev/null; then
    build=${build%-asan}-fuzz
    options+=(-DHONE_FUZZ=ON -DCMAKE_C_COMPILER=clang)
fi
[ -f "$build/CMakeCache.txt" ] || ! command -v ninja >/dev/null || options+=(-G Ninja)
if ! { cmake -S . -B "$build" "${options[@]}" && cmake --build "$build" -j "$jobs" --target "$@"; } >"$build.log" 2>&1; then
    grep -E 'rror|undefined reference|FAILED' "$build.log" | head -20
    echo "the fuzz targets did not build (all of it: $build.log)"
    echo "0 passed, 1 failed"
    exit 1
fi

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
        {
            printf 'S\n'
            join "$data"/hf-sharded/config.json \
                <(sed 's/model-0000[1-3]-of-00006/model-00001-of-00002/; s/model-0000[4-6]-of-00006/model-00002-of-00002/' \
                    "$data"/hf-sharded/model.safetensors.index.json) \
                "$data"/hf-sharded/model-00001-of-00006.safetensors \
                "$data"/hf-sharded/model-00004-of-00006.safetensors
        } >"$2/shards"
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
    fuzz_hub)
        local commit=0123456789abcdef0123456789abcdef01234567
        {
            printf '302\nLocation: /api/models/org/new\n\n\n%%%%\n503\nRetry-After: 1\n\n\n%%%%\n'
            printf '200\nX-Repo-Commit: %s\n\n{"sha": "%s", "siblings": [{"rfilename": "config.json"}]}\n%%%%\n' $commit $commit
            printf '200\nLink: <https://huggingface.co/x?cursor=2>; rel="next"\n\n[{"type": "directory", "path": "a"}, {"type": "file", "path": "config.json", "oid": "%s", "size": 7}]\n%%%%\n' $commit
            printf '200\n\n[{"path": "model.safetensors.index.json", "size": 9}, {"path": "model-00001-of-00001.safetensors", "size": 134, "lfs": {"oid": "sha256:%s%s", "size": 70}}, {"path": "m.Q4_0.gguf", "size": -5}]\n%%%%\n' ${commit}012345678901 ${commit:28}
            printf '{"weight_map": {"a": "model-00001-of-00001.safetensors"}}'
        } >"$2/pages"
        printf '401\nX-Error-Code: GatedRepo\nX-Error-Message: gated\n\n{"error": "x"}' >"$2/gated"
        printf '200\n\n{"sha": "%s", "siblings": [{"rfilename": "m.gguf"}]}\n%%%%\n404\n\n' $commit >"$2/mirror"
        ;;
    fuzz_jinja)
        cp "$root"/test/jinja/templates/*.jinja "$2"
        # Each case of language.json: a line ["template","text"] or ["template",null].
        local n=0 line
        while IFS= read -r line; do
            n=$((n + 1))
            printf '%b' "$line" >"$2/case$n"
        done < <(sed -nE 's/^\["(([^"\]|\\.)*)",.*/\1/p' "$root"/test/jinja/templates/language.json)
        ;;
    fuzz_migrate) # the first byte says, modulo 5, what kind of file it is
        for f in "$root"/test/migrate/in/*; do
            case $f in *.py) kind=2 ;; *.ipynb) kind=3 ;; *.json) kind=4 ;; *.sh) kind=1 ;; *) kind=0 ;; esac
            { printf %s "$kind"; cat "$f"; } >"$2/${f##*/}"
        done
        ;;
    fuzz_records) # the first byte forces a kind, its top bit says that values are cells
        { printf '\0'; head -n 3 "$root"/examples/travel/pois.jsonl; } >"$2/task"
        { printf '\0'; cat <"$root/test/fuzz/records.jsonl"; } >"$2/all"
        printf '\x80{"messages": "[{\\"role\\": \\"user\\", \\"content\\": \\"a\\"}]", "tools": ""}\n' >"$2/cells"
        ;;
    fuzz_rows)
        printf '\x00{"a": 1}\n\n[2]' >"$2/lines"
        printf '\x01[{"a": [1, "]"]}, {}\n]' >"$2/array"
        printf '\x02a,"b"\n1,"x""\n"\n' >"$2/cells"
        ;;
    esac
}

run() { # TARGET
    local dir=$out/$1
    mkdir -p "$dir/corpus" "$dir/seeds"
    seed "$1" "$dir/seeds"
    cd "$dir" || return
    if command -v clang >/dev/null; then
        "$build/fuzz/$1" -max_total_time="$seconds" -max_len=65536 -rss_limit_mb=1024 \
            -malloc_limit_mb=256 -timeout=10 -print_final_stats=1 corpus seeds >log 2>&1
    else
        "$build/fuzz/$1" seeds/* >log 2>&1
    fi
    echo $? >status
}

rm -rf /dev/shm/hone-fuzz-*
passed=0 failed=0
for target; do
    rm -f "$out/$target/status"
    while [ "$(jobs -r | wc -l)" -ge "$jobs" ]; do wait -n; done
    run "$target" &
done
wait
rm -rf /dev/shm/hone-fuzz-*
for target; do
    if [ "$(cat "$out/$target/status")" = 0 ]; then
        passed=$((passed + 1))
        echo "$target: no finding" "$(sed -n 's/stat::number_of_executed_units: */in runs: /p' "$out/$target/log")"
    else
        failed=$((failed + 1))
        tail -n 40 "$out/$target/log"
        echo "$target found something"
    fi
done
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
