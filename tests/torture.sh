#!/bin/bash
# make torture: runs with --resume that are killed, or refused by the disk, at each of their system
# calls in turn; the same command once more must give the bytes of a run that nothing happened to,
# and leave nothing else behind.
#
#   tests/torture.sh [EVERY [TOOL]...]     every EVERY-th call (default 1) of tokenize, score, gen,
#                                          rerank, packed (default: all)
#
# Prints a line for each tool and fault: how many calls were hit. Ends with 1 at the first result
# that is another one.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/cli/common.bash"
every=${1:-1}
shift || true
tools=("$@")
[ ${#tools[@]} -gt 0 ] || tools=(tokenize score gen rerank packed)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 75' TERM INT
cd "$work"
make_tiny tiny
mkdir words && make_vocab words/vocab.txt

for ((i = 1; i <= 24; i++)); do
    printf '{"id":%d,"tokens":[1,%d,5,%d,3],"text":"aspirin %d","query":"what %d","passages":[{"id":"a","text":"aspirin %d"},{"id":"b","text":"what else %d"}]}\n' \
        $i $i $((i % 9 + 1)) $i $((i % 5)) $((i % 7)) $((i % 5))
    [ $((i % 10)) -ne 3 ] || echo '{"broken":'
done >in.jsonl

# The command of a tool; what it writes is in the folder at hand.
run() { # run TOOL [STRACE...]
    local tool=$1
    shift
    local records=(-q -o out --errors errors --resume --checkpoint-every 4 ../in.jsonl)
    case $tool in
    tokenize) "$@" medrat-tokenize -m ../words --existing replace "${records[@]}" ;;
    packed) "$@" medrat-tokenize -m ../words --existing replace "${records[@]/#out/out.gz}" ;;
    score) "$@" medrat-score -m ../tiny/llama-3 --threads 1 --summary summary "${records[@]}" ;;
    gen) "$@" medrat-gen -m ../tiny/llama-3 --threads 1 --max-tokens 3 --temperature 1 "${records[@]}" ;;
    rerank) "$@" medrat-rerank --method bm25 "${records[@]}" ;;
    esac
}

# Times differ from run to run. A file on its way to its name stays where a run is killed then.
settle() {
    rm -f .medrat-*
    [ ! -e summary ] || sed -i '/seconds/d; /per_second/d' summary
}

same() { # same TOOL WHAT: as the undisturbed run, and no file more
    settle
    diff -r "../whole.$1" . && return
    echo "torture: $1: $2: another result" >&2
    exit 1
}

# The fault at each call of this name in turn, until a run has fewer.
hit() { # hit TOOL CALLS FAULT EXIT-STATUS
    local tool=$1 calls=$2 fault=$3 wanted=$4 k=1 n=0 status left
    while :; do
        rm -rf ../part && mkdir ../part && cd ../part
        status=0
        run "$tool" strace -f -qq -o ../trace -e "trace=$calls" -e "inject=$calls:$fault:when=$k" \
            2>messages || status=$?
        rm -f messages
        grep -q 'INJECTED\|+++ killed' ../trace || break
        n=$((n + 1))
        if [ "$status" -ne "$wanted" ] && [ "$status" -ne 1 ]; then
            # what is lost may not matter (a message, a hint); then the result is right
            left=$(find . -name '*.part' -o -name '*.state' | wc -l)
            [ "$left" -eq 0 ] || [ "$status" -ge 64 ] || {
                echo "torture: $tool: $fault at $calls $k: exit $status" >&2
                exit 1
            }
        fi
        status=0
        run "$tool" || status=$?
        [ "$status" -eq 1 ] || { # some records are broken
            echo "torture: $tool: $fault at $calls $k: exit $status afterwards" >&2
            exit 1
        }
        same "$tool" "$fault at $calls $k"
        k=$((k + every))
    done
    printf '%-9s %-24s %-28s %5d\n' "$tool" "$fault" "$calls" "$n"
}

mkdir part
for tool in "${tools[@]}"; do
    mkdir "whole.$tool" && cd "whole.$tool"
    run "$tool" || [ $? -eq 1 ]
    settle
    for calls in write rename fsync,fdatasync openat ftruncate unlink; do
        hit "$tool" $calls signal=KILL 137
    done
    for calls in write rename fsync,fdatasync ftruncate; do
        for error in ENOSPC EIO; do
            hit "$tool" $calls error=$error 74
        done
    done
    hit "$tool" write error=EINTR 1
    cd "$work"
done
