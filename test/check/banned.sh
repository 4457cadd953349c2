#!/bin/sh
# Calls that are banned (STYLE 5): copies without a bound, parsers without errors, stack allocation,
# and the raw heap outside src/base.
cd "$(dirname "$0")/../.." || exit 1
find src include test bench tools -name '*.[ch]' | sort | xargs awk -f test/check/code.awk |
    awk -F: '
    {
        code = $0; sub(/^[^:]*:[^:]*:/, "", code)
        if (match(code, /(^|[^A-Za-z0-9_])(strcpy|strcat|sprintf|vsprintf|strtok|atoi|atol|atof|gets|alloca)[ \t]*\(/))
            report("is banned")
        else if ($1 ~ /^src\// && $1 !~ /^src\/base\// &&
            match(code, /(^|[^A-Za-z0-9_>.])(malloc|calloc|realloc|free|strdup|strndup|aligned_alloc|posix_memalign|getline|asprintf)[ \t]*\(/))
            report("belongs to src/base (use hn_calloc, hn_free, hn_buf…)")
        else if ($1 ~ /^src\// && match(code, /(^|[^A-Za-z0-9_])assert[ \t]*\(/))
            report("vanishes in release builds: use HN_ASSERT, and only for our own mistakes")
        else if (match(code, /__attribute__|__builtin_/) && $1 ~ /^src\// &&
            $1 != "src/base/compiler.h" && $1 !~ /_(avx2|avx512|amx|neon)\.[ch]$/)
            report("belongs in src/base/compiler.h")
    }
    function report(why) {
        print $1 ":" $2 ": " substr(code, RSTART, RLENGTH) " " why; failed = 1
    }
    END { exit failed }'
