#!/bin/sh
# Every source file says at its top what it owns; for foo.c, the top of foo.h may have said it.
cd "$(dirname "$0")/../.." || exit 1
failed=0
for f in $(find src include test bench tools -name '*.[ch]' | sort); do
    head -1 "$f" | grep -qE '^/\*' && continue
    case $f in
    *.c)
        [ -e "${f%.c}.h" ] && continue
        grep -m1 '^#include' "$f" | grep -q "\"hone/$(basename "$f" .c).h\"" && continue
        ;;
    esac
    echo "$f: the first line is no purpose comment"
    failed=1
done
exit $failed
