#!/usr/bin/env bash
# Every fuzz target for a short while (FUZZ_SECONDS each, 20 unless told), for test/run_all.  The last
# line is "N passed, N failed".
set -u
cd "$(dirname "$0")/../.." || exit 1
passed=0 failed=0
for f in test/fuzz/fuzz_*.c; do
    name=$(basename "$f" .c)
    [ "$name" != fuzz_main ] || continue
    if test/fuzz/fuzz.sh -t "${FUZZ_SECONDS:-20}" "$name"; then
        passed=$((passed + 1))
    else
        echo "$name found something"
        failed=$((failed + 1))
    fi
done
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
