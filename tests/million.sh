#!/bin/sh
# make million: a million records of at most 40 tokens through each tool, on a small generated model, beside
# twenty thousand: memory must not grow with their number. N=1000000 ONLY="medrat-score ..." (minutes a tool).
# tests/cli/memory.bats holds the same with fewer.
set -eu
: "${MEDRAT_BUILD:=$PWD/build/release}"
n=${N:-1000000}
PATH=$MEDRAT_BUILD/bin:$PATH
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
"$MEDRAT_BUILD/tests/golden/make_tiny" .
{ printf '%s\n' '[PAD]' '[UNK]' '[CLS]' '[SEP]' '[MASK]'; printf '%s\n' a b c d e f g h i j k l m n o p q r s t u v w x y z; } >vocab.txt
jq -nc --argjson n "$n" 'range($n) | {id: ., query: "word \(.)", text: "word \(.)", passages: ["a word", "\(.)"],
    tokens: [range(3; 5 + . % 37)]}' >many.jsonl
head -n 20000 many.jsonl >few.jsonl

peak() { # peak FILE TOOL [OPTION]...
    file=$1
    shift
    "$@" --quiet --existing replace --stats stats --output /dev/null "$file"
    jq .peak_memory stats
}

for tool in ${ONLY:-medrat-tokenize medrat-rerank medrat-score medrat-gen}; do
    case $tool in
    medrat-tokenize) options="-m vocab.txt" ;;
    medrat-rerank) options="--method bm25" ;;
    medrat-gen) options="-m llama-3 --max-tokens 2" ;;
    *) options="-m llama-3" ;;
    esac
    # shellcheck disable=SC2086 # the options are words
    few=$(peak few.jsonl "$tool" $options)
    # shellcheck disable=SC2086
    many=$(peak many.jsonl "$tool" $options)
    echo "$tool: $n records: $many bytes at the peak, 20000: $few"
    [ "$many" -le $((few + (4 << 20))) ] || { echo "$tool: memory grows" >&2 && exit 1; }
done
