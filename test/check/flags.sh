#!/bin/sh
# Arithmetic is what the source says: no flag or pragma that lets a compiler reorder sums.
cd "$(dirname "$0")/../.." || exit 1
found=$(git ls-files --cached --others --exclude-standard CMakeLists.txt CMakePresets.json Makefile \
    cmake src test bench | grep -v '^test/check/flags.sh$' |
    xargs grep -nE -e '-ffast-math|-Ofast|-funsafe-math|-fassociative-math|fp_contract\(fast|FP_CONTRACT[ \t]+ON' 2>/dev/null)
[ -z "$found" ] || { echo "$found"; exit 1; }
grep -q -e '-ffp-contract=off' CMakeLists.txt || { echo "CMakeLists.txt lacks -ffp-contract=off"; exit 1; }
