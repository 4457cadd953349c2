#!/bin/sh
# Only src/cli prints to the terminal or ends the process.
cd "$(dirname "$0")/../.." || exit 1
# src/base/err.c: the failed assertion, which has nobody to return to.
find src -name '*.[ch]' ! -path 'src/cli/*' ! -path src/base/err.c | sort |
    xargs awk -f test/check/code.awk |
    awk -F: '
    {
        code = $0; sub(/^[^:]*:[^:]*:/, "", code)
        if (match(code, /(^|[^A-Za-z0-9_])(printf|vprintf|puts|putchar|perror|exit|_exit|quick_exit|abort|signal|sigaction)[ \t]*\(/) ||
            match(code, /(^|[^A-Za-z0-9_])(stdout|stderr|stdin|STDOUT_FILENO|STDERR_FILENO)([^A-Za-z0-9_]|$)/)) {
            print $1 ":" $2 ": " substr(code, RSTART, RLENGTH) " belongs to src/cli"; failed = 1
        }
    }
    END { exit failed }'
