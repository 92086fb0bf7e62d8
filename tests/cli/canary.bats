#!/usr/bin/env bats
# No text of a record leaves by any way but the output and the --errors file: the lines are full of
# a word that must not turn up in messages, statistics or file names, however verbose, whatever
# fails.

bats_require_minimum_version 1.5.0

load common

canary=TweetyQ7x

setup() {
    work=$BATS_TEST_TMPDIR/work # bats keeps files of its own beside it
    mkdir "$work"
    cd "$work"
    make_vocab vocab.txt
    printf '%b' \
        '{"text":"'$canary'"}\n' \
        '{"text":"'$canary'","'$canary'":1,"'$canary'":2}\n' \
        '{"text":"'$canary'\xff"}\n' \
        '{"text":{"'$canary'":1}}\n' \
        '{"text":"'$canary'\n' \
        "$canary\n" \
        '["'$canary'"]\n' \
        '{"text":"\\ud800'$canary'"}\n' \
        '{"text":"'$canary'","query":["'$canary'"],"passages":{"'$canary'":1}}\n' \
        '{"query":"'$canary'","passages":[{"id":"'$canary'","text":1}]}\n' \
        '{"query":"'$canary'","passages":[{"id":1,"text":"'$canary'"},{"id":1,"text":"b"}]}\n' \
        '{"messages":[{"role":"'$canary'"}]}\n' \
        '{"tokens":["'$canary'"]}\n' \
        '{"text":"'$canary >in.jsonl
}

quiet_about_it() { # quiet_about_it COMMAND...: exits 1, and says nothing of the canary
    run -1 --separate-stderr "$@" -v --stats stats.json --errors errors.jsonl -o out.jsonl in.jsonl
    [[ "$stderr" != *"$canary"* ]]
    grep -q . stats.json
    run -1 grep -q "$canary" stats.json
    grep -q "$canary" errors.jsonl
    [ "$(stat -c %a errors.jsonl)" = 600 ]
    [ "$(ls)" = "$(printf '%s\n' errors.jsonl in.jsonl out.jsonl stats.json vocab.txt)" ]
    # error records carry no text either
    run -1 sh -c "grep '\"error\":{' out.jsonl | sed 's/^{\"id\":[^,]*,//' | grep -q $canary"
}

@test "medrat-tokenize says nothing of what is in a record" {
    quiet_about_it medrat-tokenize -m vocab.txt
}

@test "medrat-rerank says nothing of what is in a record" {
    quiet_about_it medrat-rerank --method bm25
}

@test "medrat-score and medrat-gen say nothing of what is in a record" {
    need_models
    quiet_about_it medrat-score
    rm errors.jsonl out.jsonl stats.json
    quiet_about_it medrat-gen --max-tokens 2
}

@test "medrat-train says nothing of what is in a record" {
    need_models
    run -1 --separate-stderr medrat-train -v --steps 1 --batch 1 --accumulation 1 --rank 1 --stats stats.json \
        --errors errors.jsonl -o out in.jsonl
    [[ "$stderr" != *"$canary"* ]]
    run -1 grep -rq "$canary" stats.json out
    grep -q "$canary" errors.jsonl
    [ "$(stat -c %a errors.jsonl)" = 600 ]
    [ "$(ls)" = "$(printf '%s\n' errors.jsonl in.jsonl out stats.json vocab.txt)" ]
}

@test "nothing beside an output tells of a record: its description, a state, a plan, logs as JSON, a full disk" {
    for tool in "medrat-tokenize -m vocab.txt" "medrat-rerank --method bm25"; do
        run -1 --separate-stderr $tool -v --progress --log-format json --meta --dep-file d.mk --errors errors.jsonl -o out.jsonl in.jsonl
        [[ "$stderr" != *"$canary"* ]]
        run -1 grep -q "$canary" out.jsonl.meta.json d.mk
        # ends before all is there, and leaves its state
        run -65 --separate-stderr $tool -v --resume --expect 99 --errors errors.jsonl -o parts.jsonl in.jsonl
        [[ "$stderr" != *"$canary"* ]]
        [ "$(stat -c %a parts.jsonl.state parts.jsonl.part | sort -u)" = 600 ]
        run -1 grep -q "$canary" parts.jsonl.state
        run -74 --separate-stderr $tool -v -o /dev/full in.jsonl
        [[ "$stderr" != *"$canary"* ]]
        rm -f out.jsonl* parts.jsonl* errors.jsonl d.mk
    done
    run -78 --separate-stderr medrat-tokenize -v -m vocab.txt --config in.jsonl in.jsonl
    [[ "$stderr" != *"$canary"* ]]
}

@test "a plan tells nothing of what is in a record" {
    need_models
    for tool in medrat-gen medrat-score; do
        run -65 --separate-stderr $tool -v --plan in.jsonl
        [[ "$stderr$output" != *"$canary"* ]]
    done
}
