#!/bin/sh
# coverage.sh FILE.c...: runs in build/coverage the tests that are about the formats (unit tests, token
# ids, fuzz seeds, the tools' records and options), then prints how many lines of each file ran. Exits 1
# if it is less than 90 % of one.
set -eu
cd "$(dirname "$0")/.."
build=build/coverage
export MEDRAT_NO_SANDBOX=1 # gcov writes where the objects are
find "$build" -name '*.gcda' -delete
# Left out is what is about other things, or slow.
tests=$(ls "$build"/tests/unit/*_test "$build"/tests/fuzz/*_replay |
    grep -v -e /golden_[bm] -e /golden_greedy -e /golden_smollm2 -e /golden_tiny -e _sets_test \
        -e _val_test -e /sampler -e /bpe -e /scheduler -e /model_test -e /encoder_test)
for name in bad_models options records score tokenize; do
    tests="$tests $build/tests/cli/$name.bats"
done
# shellcheck disable=SC2086 # the list is words
if ! prove --jobs 2 --timer --exec tests/run.sh $tests >"$build/prove.log" 2>&1; then
    cat "$build/prove.log"
    exit 1
fi

for source in "$@"; do
    # File 'formats/gguf.c'
    # Lines executed:93.75% of 64
    gcov --no-output --object-file "$build/${source%.c}.o" "$source" 2>/dev/null |
        awk -v file="$source" '
            /^File/ { here = $2 == "\x27" file "\x27" }
            here && /^Lines executed/ { split($2, part, /[:%]/); print part[2], $4, file; exit }'
done | sort -n | awk '
    { printf "%7.2f %% of %4d lines  %s\n", $1, $2, $3; n += $2; ran += $1 / 100 * $2; low += ($1 < 90) }
    END {
        printf "%7.2f %% of %4d lines\n", 100 * ran / (n + !n), n
        if (low > 0)
            print low " files below 90 %"
        exit (low > 0 || n == 0)
    }'
