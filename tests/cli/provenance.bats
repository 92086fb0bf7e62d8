#!/usr/bin/env bats
# What an output was made of: --dep-file for make, --meta for people, --update for those who depend on it.

bats_require_minimum_version 1.5.0

load common

setup_file() {
    cd "$BATS_FILE_TMPDIR"
    make_tiny tiny
}

setup() {
    cd "$BATS_TEST_TMPDIR"
    cp -r "$BATS_FILE_TMPDIR/tiny/mistral-f32" model
    printf '{"id":%d,"tokens":[1,%d,5,7,3]}\n' 1 4 2 6 3 9 >in.jsonl
}

later() { # later FILE: newer than all that is there
    touch -d '+10 seconds' "$1"
}

@test "make knows by --dep-file that a changed model or input makes an output old" {
    cat >Makefile <<'END'
scores.jsonl:
	medrat-score -q -m model --update --dep-file scores.d -o $@ in.jsonl
-include scores.d
END
    make scores.jsonl
    run make -q scores.jsonl
    [ "$status" -eq 0 ]
    for file in model/config.json model/model.safetensors in.jsonl; do
        grep -qF "$file:" scores.d
        later "$file"
        run make -q scores.jsonl
        [ "$status" -eq 1 ]
        touch -d '1 hour ago' "$file"
    done
    rm in.jsonl # make says that it is gone only when somebody wants to read it
    run make -n scores.jsonl
    [ "$status" -eq 0 ]
}

@test "names that are hard for make come back as they are" {
    mkdir 'a b#$c:d~+@(e)'
    mv in.jsonl 'a b#$c:d~+@(e)/in.jsonl'
    local out='o u#$t:.jsonl'
    medrat-score -q -m model --dep-file d.mk -o "$out" 'a b#$c:d~+@(e)/in.jsonl'
    run make -q -f d.mk "$out"
    [ "$status" -eq 0 ]
    later 'a b#$c:d~+@(e)/in.jsonl'
    printf '\t@touch made\n' >recipe
    sed -i '/in.jsonl$/r recipe' d.mk
    make -s -f d.mk "$out"
    [ -e made ]
}

@test "a name that make cannot read is refused, and so is --dep-file without an output" {
    cp in.jsonl 'a;b'
    run ! medrat-score -q -m model --dep-file d.mk -o out.jsonl 'a;b'
    [[ "$output" == *"option '--dep-file': make cannot read 'a;b'"* ]]
    [ ! -e d.mk ]
    for option in --update --meta '--dep-file d.mk'; do
        run -64 medrat-score -q -m model $option in.jsonl
        [[ "$output" == *"needs an output file (-o)"* ]]
    done
}

@test "what a run went on from is no prerequisite" {
    medrat-score -q -m model --resume --checkpoint-every 1 --dep-file d.mk -o out.jsonl in.jsonl
    run ! grep -E 'state|part' d.mk
    printf '{"text":"a"}\n' >bad.jsonl
    run -1 medrat-score -q -m model --resume --dep-file e.mk --errors errors -o out.jsonl bad.jsonl
    run ! grep -E 'state|part|errors' e.mk
}

@test "an adapter's rule is about its weights" {
    medrat-train -q -m model --steps 2 --validate-every 1 --validation in.jsonl --dep-file d.mk -o adapter in.jsonl
    head -n 1 d.mk | grep -qF 'adapter/adapter_model.safetensors:'
    grep -qF 'model/config.json:' d.mk
    run ! grep -F adapter.part d.mk
    make -q -f d.mk adapter/adapter_model.safetensors
}

@test "--update leaves an equal output alone, plain or packed, with or without --resume" {
    for out in out.jsonl out.jsonl.gz; do
        for option in '' '--resume'; do
            medrat-score -q -m model $option -o "$out" in.jsonl
            touch -d 2020-01-01 "$out"
            medrat-score -q -m model $option --update -o "$out" in.jsonl
            [ "$(stat -c %Y "$out")" = "$(date -d 2020-01-01 +%s)" ]
            medrat-score -q -m model $option --update --tokens -o "$out" in.jsonl
            [ "$(stat -c %Y "$out")" != "$(date -d 2020-01-01 +%s)" ]
            zgrep -q ranks "$out"
        done
    done
    [ "$(echo out* .medrat*)" = "out.jsonl out.jsonl.gz .medrat*" ] # nothing is left lying about
}

@test "--meta says what an output was made of" {
    echo '{"tokens":"wrong"}' >>in.jsonl
    medrat-gen -q -m model --max-tokens 3 --seed 7 --max-errors 1 --meta -o out.jsonl in.jsonl
    jq -e '.format == "medrat-meta 1" and .tool == "medrat-gen" and .intended_use == "research"
        and .records == 4 and .done == 3 and .failed == 1 and .exit_status == 0
        and .settings.seed == "7" and .settings["max-tokens"] == "3"
        and (.settings.model | test("^model@[0-9a-f]{16}$")) and (.settings.kernels | length > 0)
        and (.read | index("model/model.safetensors")) and (.read | index("in.jsonl") | not)
        ' out.jsonl.meta.json
    [ "$(jq -r '.input[0] | "\(.sha256)  \(.path)"' out.jsonl.meta.json)" = "$(sha256sum in.jsonl)" ]
    [ "$(jq -r '.output | "\(.sha256)  \(.path)"' out.jsonl.meta.json)" = "$(sha256sum out.jsonl)" ]
    [ "$(jq .output.bytes out.jsonl.meta.json)" -eq "$(wc -c <out.jsonl)" ]
}

@test "--meta of a run in parts is about all of it, and of a pipe names no hash" {
    head -n 2 in.jsonl >two.jsonl
    mkfifo fifo
    cat two.jsonl >fifo &
    medrat-score -q -m model --meta -o out.jsonl - <fifo
    jq -e '.input == [{"path": "-"}]' out.jsonl.meta.json
    run -65 medrat-score -q -m model --resume --expect 9 --meta -o parts.jsonl in.jsonl
    [ ! -e parts.jsonl.meta.json ]
    medrat-score -q -m model --resume --meta -o parts.jsonl in.jsonl
    jq -e '.records == 3' parts.jsonl.meta.json
}

@test "no question stands in a description or a state" {
    medrat-rerank -q --method bm25 --meta -o out.jsonl <<<'{"query":"needle","passages":["needle"]}'
    run ! grep -r needle out.jsonl.meta.json
}
