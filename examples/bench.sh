#!/bin/sh
# Speed and memory on the demonstration's model (`make bench`), or on MODEL=path.
set -eu
cd "$(dirname "$0")/.."
hone=${HONE:-build/hone}
[ -n "${MODEL:-}" ] || MODEL=$(tools/fetch_demo_model.sh)
exec "$hone" bench --model "$MODEL" "$@"
