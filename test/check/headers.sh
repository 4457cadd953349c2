#!/bin/sh
# Every header compiles alone, and has an include guard named after its path.
cd "$(dirname "$0")/../.." || exit 1
failed=0
# Text that several files include, each with types of its own: no header in the usual sense.
templates='src/backend/cpu/vector_loops.h src/backend/cpu/gemv_rows.h'
templates="$templates src/backend/cpu/few_loops.h src/backend/cpu/panel_rows.h"
for h in $(find src include -name '*.h' | sort); do
    case " $templates " in *" $h "*) continue ;; esac
    # shellcheck disable=SC2086
    case $h in
    *_avx2.h) level='-mavx2 -mfma' ;;
    *_avx512.h) level='-mavx512f -mavx512bw -mavx512dq -mavx512vl' ;;
    *) level= ;;
    esac
    if ! ${CC:-cc} $level -std=c17 -D_POSIX_C_SOURCE=200809L -D_DEFAULT_SOURCE -Wall -Wextra \
        -fsyntax-only -Isrc -Iinclude -x c "$h" 2>/tmp/header.$$; then
        echo "$h does not compile alone:"
        head -5 /tmp/header.$$
        failed=1
    fi
    guard=$(sed -n 's/^#ifndef \([A-Z0-9_]*_H\)$/\1/p' "$h" | head -1)
    if [ -z "$guard" ] || ! grep -q "^#define $guard\$" "$h"; then
        echo "$h has no include guard"
        failed=1
    fi
    echo "$guard $h" >>/tmp/guards.$$
done
sort /tmp/guards.$$ | awk '$1 == last && $1 != "" { print $2 " and " file " share the guard " $1; bad = 1 }
    { last = $1; file = $2 } END { exit bad }' || failed=1
rm -f /tmp/header.$$ /tmp/guards.$$
exit $failed
