#!/bin/sh
# From the built libraries: no mutable globals, and every global symbol is called hone_* or hn_*.
cd "$(dirname "$0")/../.." || exit 1
[ -z "${HN_SANITIZE:-}" ] || exit 0 # the sanitizers add data of their own
build=${HN_BUILD:-build}
failed=0
# symbol: why it is allowed
allowed='
stop_requested: what a signal handler sets (src/cli)
stop_time: when it did
'
for a in "$build"/libhn_*.a; do
    [ -e "$a" ] || { echo "no library is built in $build"; exit 1; }
done
for a in "$build"/libhn_*.a "$build"/CMakeFiles/hone.dir/src/cli/*.o; do
    [ -e "$a" ] || continue
    nm -f sysv "$a" 2>/dev/null | ALLOWED="$allowed" awk -F'|' -v lib="${a##*/}" '
        BEGIN {
            n = split(ENVIRON["ALLOWED"], lines, "\n")
            for (i = 1; i <= n; i++) { split(lines[i], w, ":"); ok[w[1]] = 1 }
        }
        /^.* from / || /^[^|]*:$/ { object = $0; next }
        NF >= 7 {
            name = $1; gsub(/[ \t]/, "", name); class = $3; gsub(/ /, "", class)
            section = $7; gsub(/[ \t]/, "", section)
            base = name; sub(/\.[0-9]+$/, "", base)
            # .data.rel.ro is constant once the program has been loaded.
            if (class ~ /^[bBdDcCsSgG]$/ && section !~ /^\.data\.rel\.ro/ && !(base in ok)) {
                print lib ": " name " is a mutable global (" section ")"; failed = 1
            }
            if (class ~ /^[TRDBVW]$/ && lib ~ /\.a$/ && name !~ /^(hone_|hn_)/) {
                print lib ": " name " is global and lacks the prefix hone_ or hn_"; failed = 1
            }
        }
        END { exit failed }' || failed=1
done
exit $failed
