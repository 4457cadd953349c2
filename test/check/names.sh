#!/bin/sh
# File names are unique in the tree (public headers among themselves: they are always named with
# their folder, hone/); foo.c includes foo.h first.
cd "$(dirname "$0")/../.." || exit 1
failed=0
twins=$(git ls-files --cached --others --exclude-standard '*.[ch]' '*.cpp' '*.sh' '*.t' |
    grep -v '^include/hone/' | sort -u | while read -r f; do [ -e "$f" ] && echo "${f##*/} $f"; done | sort |
    awk '$1 == last { print $1 ": " file " and " $2 } { last = $1; file = $2 }')
if [ -n "$twins" ]; then
    echo "file names that are not unique:"
    echo "$twins"
    failed=1
fi
for c in $(find src -name '*.c' | sort); do
    h=${c%.c}.h
    [ -e "$h" ] || continue
    first=$(sed -n 's/^#include "\(.*\)"$/\1/p' "$c" | head -1)
    line=$(grep -m1 '^#include' "$c")
    if [ "src/$first" != "$h" ] || [ "$line" != "#include \"$first\"" ]; then
        echo "$c does not include ${h#src/} first"
        failed=1
    fi
done
exit $failed
