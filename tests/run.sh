#!/bin/sh
# What prove calls for each test: a cmocka program, a fuzz corpus replay, or a .bats file.
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
*)
    CMOCKA_MESSAGE_OUTPUT=TAP exec "$1"
    ;;
esac
