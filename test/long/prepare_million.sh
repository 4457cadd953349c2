#!/usr/bin/env bash
# A million rows through hone prepare: 16 bytes of each are held, so the peak stays under 40 MB however
# large the file is; every row arrives once; the same seed gives the same bytes.
set -u
HONE=$(realpath "${HN_BUILD:-build}")/hone
dir=$(mktemp -d) || exit 1
trap 'rm -rf "$dir"' EXIT
cd "$dir" || exit 1
passed=0 failed=0

check() { # TITLE CONDITION...
    local title=$1
    shift
    if "$@"; then passed=$((passed + 1)); else failed=$((failed + 1)); echo "failed: $title"; fi
}

prepare() { # INPUT OUTPUT: leaves the peak in KiB in $peak
    "$HONE" prepare --input "$1" --output "$2" --valid-fraction 0.1 --seed 7 >log 2>&1 &
    local pid=$! now
    peak=0
    while now=$(awk '/^VmHWM/ { print $2 }' /proc/$pid/status 2>/dev/null) && [ -n "$now" ]; do
        peak=$now
        sleep 0.05
    done
    wait $pid || cat log
}

awk 'BEGIN { for (i = 0; i < 1000000; i++) printf "{\"task\":\"t\",\"instruction\":\"choose the way to go from a to b\",\"context\":\"row %d of a file that is far larger than what is held of it in memory\",\"response\":\"take the tram\",\"response_json\":{\"id\":%d}}\n", i, i }' >rows.jsonl
prepare rows.jsonl one
echo "peak: $peak KiB for a million rows of $(wc -c <rows.jsonl) bytes"
check "memory was measured" test "$peak" -gt 1000
check "memory" test "$peak" -lt 40960
check "valid rows" test "$(wc -l <one/valid.jsonl)" -eq 100000
check "train rows" test "$(wc -l <one/train.jsonl)" -eq 900000
check "every row once" test "$(cat one/*.jsonl | grep -o 'row [0-9]* of' | sort -u | wc -l)" -eq 1000000
prepare rows.jsonl two
check "same bytes" cmp -s one/train.jsonl two/train.jsonl
check "same held-out bytes" cmp -s one/valid.jsonl two/valid.jsonl
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
