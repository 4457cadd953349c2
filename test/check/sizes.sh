#!/bin/sh
# Lines of at most 100 columns, files of at most 1,000 lines, functions of at most 80: what is larger
# needs a reason in the list below.
cd "$(dirname "$0")/../.." || exit 1
failed=0
# FILE or FILE:FUNCTION, then the reason
reasons='
'
files=$(find src include test bench tools -name '*.[ch]' | sort)
# shellcheck disable=SC2086
LC_ALL=C.UTF-8 grep -nE '^.{101,}' $files | cut -c1-80 | sed 's/$/… has more than 100 columns/' |
    grep . && failed=1
tab=$(printf '\t')
# shellcheck disable=SC2086
grep -nE "$tab|[ $tab]\$" $files | cut -c1-80 |
    sed 's/$/ has a tab, or white space at the end of the line/' | grep . && failed=1
# shellcheck disable=SC2086
REASONS="$reasons" awk '
    BEGIN {
        n = split(ENVIRON["REASONS"], lines, "\n")
        for (i = 1; i <= n; i++) { split(lines[i], w, " "); excused[w[1]] = 1 }
    }
    function whole_file() {
        if (file != "" && count > 1000 && !(file in excused)) {
            print file ": " count " lines; over 1,000 needs a reason in test/check/sizes.sh"
            failed = 1
        }
    }
    FNR == 1 { whole_file(); file = FILENAME; begin = 0 }
    { count = FNR }
    /^[A-Za-z_].*\(/ && !/;[ \t]*$/ { name = $0; sub(/\(.*/, "", name); sub(/.*[ *]/, "", name); head = FNR }
    /^\{/ { begin = head }
    /^\}/ && begin {
        if (FNR - begin + 1 > 80 && !((FILENAME ":" name) in excused)) {
            print FILENAME ":" begin ": " name " has " FNR - begin + 1 " lines; 80 are the limit"
            failed = 1
        }
        begin = 0
    }
    END { whole_file(); exit failed }' $files || failed=1
exit $failed
