#!/bin/sh
# Makes sure that what hone is built with is there.  What is missing is installed where that can be
# done without asking (root on Debian or Ubuntu); elsewhere the command that does it is printed.
#
#   tools/deps.sh          what `make` needs
#   tools/deps.sh test     and what `make test` needs
set -eu

# command or pkg-config module : Debian package
needs='cc:gcc cmake:cmake pkg-config:pkg-config make:make
       @yaml-0.1:libyaml-dev @libpcre2-8:libpcre2-dev @libutf8proc:libutf8proc-dev
       @libcurl:libcurl4-openssl-dev @libedit:libedit-dev'
case "${1:-}" in
test) needs="$needs nm:binutils @cmocka:libcmocka-dev" ;;
esac

missing=
for need in $needs; do
    name=${need%%:*}
    package=${need#*:}
    case $name in
    @*) pkg-config --exists "${name#@}" 2>/dev/null || missing="$missing $package" ;;
    *) command -v "$name" >/dev/null 2>&1 || missing="$missing $package" ;;
    esac
done
[ -n "$missing" ] || exit 0
# A compiler without the C library's headers is no use: gcc brings libc6-dev only as a suggestion.
case " $missing " in *" gcc "*) missing="$missing libc6-dev" ;; esac

if command -v apt-get >/dev/null 2>&1; then
    if [ "$(id -u)" = 0 ]; then
        echo "installing:$missing"
        export DEBIAN_FRONTEND=noninteractive
        apt-get update -qq
        # shellcheck disable=SC2086
        apt-get install -y -qq --no-install-recommends $missing >/dev/null
        exit 0
    fi
    echo "Some packages that hone is built with are missing.  Install them with" >&2
    echo "    sudo apt-get install$missing" >&2
else
    echo "Some libraries that hone is built with are missing; under Debian's names:$missing" >&2
    echo "(Homebrew: brew install cmake pkg-config libyaml pcre2 utf8proc curl libedit cmocka)" >&2
fi
exit 1
