#!/bin/sh
# Every fuzz target for a short while (FUZZ_SECONDS each, 10 unless told), for test/run_all.  The last
# line is "N passed, N failed".
exec "$(dirname "$0")/../fuzz/fuzz.sh" -t "${FUZZ_SECONDS:-10}" -o "$(realpath -m "${HN_BUILD:-build}")-fuzz-runs"
