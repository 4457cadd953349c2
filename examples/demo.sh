#!/bin/sh
# The demonstration (`make demo`): fetches a small real model, measures what it makes of the example
# records before any training, fine-tunes it on this machine in a few minutes, and shows what it
# makes of them now.  Everything it writes is in .demo/; the model is kept in ~/.cache/hone.
#
#   MODEL=path examples/demo.sh      with another model
set -eu
cd "$(dirname "$0")/.."
hone=${HONE:-build/hone}
out=${DEMO_DIR:-.demo}
data=examples/travel

# Longer than any right answer; a model that does not know when to stop is stopped here.
max_tokens=140

step() { printf '\n==> %s\n' "$*"; }
show() { printf '$ hone %s\n' "$*"; "$hone" "$@"; }

if [ -z "${MODEL:-}" ]; then
    step "The model: SmolLM2-135M-Instruct, 4 bits, 98 MB"
    MODEL=$(tools/fetch_demo_model.sh)
fi
mkdir -p "$out"

step "The data: which way to travel, and points of interest as JSON"
show prepare --input $data/mode.jsonl --input $data/pois.jsonl --output "$out/data" \
    --valid-fraction 0.03 --model "$MODEL"

step "Before: what the model makes of records that training will not see"
echo "$ hone test --model $MODEL --data $data/heldout.jsonl --max-tokens $max_tokens --json > $out/before.json"
"$hone" test --model "$MODEL" --data $data/heldout.jsonl --max-tokens $max_tokens \
    --json >"$out/before.json"

step "Training"
show train --model "$MODEL" --data "$out/data" --adapter-path "$out/adapters" \
    --learning-rate 2e-3 --lr-scheduler-type linear --warmup-steps 10 \
    --batch-size 2 --max-steps "${DEMO_STEPS:-150}" --steps-per-report 10

step "After: the same records, with what was learnt (the adapter's folder knows its model)"
show test --model "$out/adapters" --data $data/heldout.jsonl --max-tokens $max_tokens \
    --compare-with "$out/before.json"

step "What the run left"
echo "  $out/adapters/          the adapter (for hone, mlx-lm and PEFT), checkpoints"
echo "  $out/adapters/train.yaml     every setting: hone train --config repeats the run"
echo "  $out/adapters/metrics.jsonl  loss, speed and memory over the run"
[ ! -e "$out/adapters/report.html" ] || echo "  $out/adapters/report.html    the run as a page"
