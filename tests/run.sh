#!/bin/sh
# What prove calls for each test: a cmocka program, a fuzz corpus replay, a short
# run of a fuzzer, or a .bats file.
# A path build/CONFIG/... runs on that build; a .bats file under tests/ on the release build.
set -u
cd "$(dirname "$0")/.." || exit 1
case $1 in
build/*/*) config=${1#build/} && config=${config%%/*} ;;
*) config=release ;;
esac
MEDRAT_BUILD=$PWD/build/$config
MEDRAT_BIN=$MEDRAT_BUILD/bin
MEDRAT_BUILD_CONFIG=$config
export MEDRAT_BUILD MEDRAT_BIN MEDRAT_BUILD_CONFIG
# The tests decide what a tool sees, not the shell that runs them.
unset MEDRAT_THREADS MEDRAT_BATCH MEDRAT_MODEL MEDRAT_SHARE MEDRAT_NO_DEFAULT
MEDRAT_MODELS=${MEDRAT_MODELS:-$PWD/models}
MEDRAT_DATA=${MEDRAT_DATA:-$PWD/../shared/data}
export MEDRAT_MODELS MEDRAT_DATA
case $1 in
*.bats)
    file=${1#build/"$config"/}
    exec bats --tap "$file"
    ;;
*_replay)
    target=${1##*/}
    exec "$1" "tests/fuzz/corpus/${target%_replay}"
    ;;
*_fuzz)
    # One seed and so many runs: much the same inputs every time (addresses differ). What made a
    # target fail stays in the build folder, all else is forgotten.
    target=${1##*/} && target=${target%_fuzz}
    found=$(mktemp -d) || exit 1
    "$1" -seed=1 -runs=50000 -max_total_time=10 -timeout=10 \
        -artifact_prefix="$MEDRAT_BUILD/$target-" "$found" "tests/fuzz/corpus/$target" \
        >"$1.log" 2>&1
    status=$?
    rm -rf "$found"
    echo 1..1
    if [ "$status" -eq 0 ]; then
        echo "ok 1 - $target: $(sed -n 's/^Done //p' "$1.log")"
    else
        echo "not ok 1 - $target: try it with build/fuzz/tests/fuzz/${target}_fuzz FILE"
        tail -n 40 "$1.log" | sed 's/^/# /'
    fi
    exit "$status"
    ;;
*)
    CMOCKA_MESSAGE_OUTPUT=TAP exec "$1"
    ;;
esac
