#!/bin/sh
# hone beside transformers + PEFT, mlx-lm and llama.cpp on this machine: one command, one table.
#
#   bench/compare.sh [OPTIONS of bench/compare.py]      e.g. --only smollm2, --runs 3, --list
#
# Makes what is missing, in ~/.cache/hone (or $HONE_COMPARE): a Python environment with the peers
# (some GB from PyPI, llama.cpp built from source: 10 minutes on 2 cores), and models of one set of
# weights in each system's form.  PEERS=DIR and MODELS=DIR name ones that are there already.
# Leaves build/compare/: compare.txt, compare.json (every run; a later call adds its rows) and
# compare.svg.
set -eu
cd "$(dirname "$0")/.."
cache=${HONE_COMPARE:-${XDG_CACHE_HOME:-$HOME/.cache}/hone}
peers=${PEERS:-$cache/peers}
models=${MODELS:-$cache/compare}
export HONE="${HONE:-$PWD/build/hone}"

[ -x "$HONE" ] || make
if [ ! -x "$peers/bin/python" ]; then
    python3 -m venv "$peers.part"
    pip="$peers.part/bin/python -m pip install -q"
    $pip torch transformers peft accelerate safetensors gguf sentencepiece protobuf "mlx[cpu]" mlx-lm
    CMAKE_ARGS=-DGGML_NATIVE=ON $pip llama-cpp-python
    rm -rf "$peers"
    mv "$peers.part" "$peers"
fi
# A torch that was installed without its CUDA packages finds a system's.
cuda=${CUDA_HOME:-/usr/local/cuda}/lib64
[ -d "$cuda" ] && export LD_LIBRARY_PATH="$cuda${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}"
export CUDA_VISIBLE_DEVICES= HF_HUB_OFFLINE=1 TOKENIZERS_PARALLELISM=false TRANSFORMERS_VERBOSITY=error

made() { [ -e "$models/$1" ]; }
convert() { # FROM TO OPTIONS
    from=$1 to=$2
    shift 2
    made "$to" || "$HONE" convert "$models/$from" -o "$models/$to" "$@" >/dev/null
}
mkdir -p "$models"
if ! made smollm2-Q4_1.gguf; then
    cp "$(tools/fetch_demo_model.sh "$cache")" "$models/smollm2-Q4_1.gguf"
fi
convert smollm2-Q4_1.gguf smollm2-f32 --to hf --type f32
convert smollm2-Q4_1.gguf smollm2-Q4_0.gguf --to gguf --type q4_0
convert smollm2-f32 smollm2-mlx4-g64 --to mlx --quantize --q-bits 4 --q-group-size 64
case " $* " in *smollm2*) ;; *)
    made tl11b-bf16 || "$peers/bin/python" bench/compare_peer.py make --model "$models/tl11b-bf16" \
        --like "$models/smollm2-f32"
    convert tl11b-bf16 tl11b-Q4_0.gguf --to gguf --type q4_0
    convert tl11b-bf16 tl11b-mlx4-g64 --to mlx --quantize --q-bits 4 --q-group-size 64
    ;;
esac
exec "$peers/bin/python" bench/compare.py --models "$models" --hone "$HONE" "$@"
