#!/bin/sh
# The dependency law (HACKING.md): a folder of src/ includes itself, include/hone and what the table
# gives it, nothing else; public headers include public headers only.
cd "$(dirname "$0")/../.." || exit 1

# folder: folders it may include
law='
base:
quant: base
format: base quant
jinja: base
text: base format jinja
conf: base
data: base text
backend: base quant
backend/cpu: base quant backend
backend/mlx: base quant backend
backend/cuda: base quant backend
model: base quant format backend
convert: base quant format text model
train: base conf text data format model backend
infer: base text model backend
eval: base text data model infer backend
report: base
hub: base
migrate: base conf
serve: base text infer model
cli: base conf report
'
# Who chooses the implementations has to name them, and reads nothing else of them.
allowed_files='src/backend/registry.c:backend/cpu'

find src include -name '*.[ch]' | sort | xargs awk -f test/check/code.awk |
    sed -n 's/^\([^:]*\):\([0-9]*\):[ \t]*#[ \t]*include[ \t]*"\([^"]*\)".*/\1 \2 \3/p' |
    LAW="$law" FILES="$allowed_files" awk '
    BEGIN {
        n = split(ENVIRON["LAW"], lines, "\n")
        for (i = 1; i <= n; i++) {
            if (lines[i] == "") continue
            folder = lines[i]; sub(/:.*/, "", folder)
            rest = lines[i]; sub(/^[^:]*:/, "", rest)
            known[folder] = 1; may[folder, folder] = 1
            m = split(rest, used, " ")
            for (j = 1; j <= m; j++) may[folder, used[j]] = 1
        }
        n = split(ENVIRON["FILES"], lines, " ")
        for (i = 1; i <= n; i++) extra[lines[i]] = 1
    }
    {
        to = $3; bad = ""
        if ($1 ~ /^include\//) {
            if (to !~ /^hone\//) bad = "a public header may include public headers only"
        } else {
            from = $1; sub(/^src\//, "", from); sub(/\/[^\/]*$/, "", from)
            if (!(from in known)) bad = "folder " from " is not in the law"
            target = to
            if (sub(/\/[^\/]*$/, "", target) == 0) target = "."
            if (target == "." && to == "hone.h") target = "hone"
            if (bad == "" && target != "hone" && !((from, target) in may) &&
                !(($1 ":" target) in extra))
                bad = "src/" from " may not include " (target == "." ? "by a bare name" : target)
        }
        if (bad != "") { print $1 ":" $2 ": includes \"" to "\": " bad; failed = 1 }
    }
    END { exit failed }'
