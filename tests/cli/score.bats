#!/usr/bin/env bats
# medrat-score from the outside: what it scores, how it counts, and that the way does not matter.

bats_require_minimum_version 1.5.0

load common

setup_file() {
    make_tiny "$BATS_FILE_TMPDIR/tiny"
}

setup() {
    set -o pipefail # a pipe into jq must not hide a failure
    tiny=$BATS_FILE_TMPDIR/tiny/llama-q4_1.gguf # byte-level BPE
    work=$BATS_TEST_TMPDIR
    cd "$BATS_TEST_DIRNAME/../.."
}

score() {
    medrat-score -q -m "$tiny" "$@"
}

# One result, and of scores that differ, so that a mix-up would show.
one_result() { # one_result IN COMMAND...
    check_one_result "$@"
    [ "$(jq .score.nll "$work/alone" | sort -u | wc -l)" -gt 5 ]
}

@test "one result on the small model" {
    for i in $(seq 20); do
        printf '{"id":%d,"text":"%s fever %d"}\n' "$i" "$(printf 'pain and %.0s' $(seq $((i * i % 37))))" "$i"
    done >"$work/in"
    one_result "$work/in" score
    head -n 8 "$work/in" >"$work/eight"
    MEDRAT_KERNELS=scalar score --batch 1 "$work/eight" >"$work/alone"
    MEDRAT_KERNELS=scalar score --batch 8 --threads 2 "$work/eight" | cmp - "$work/alone"
}

@test "one result on the real model" {
    need_models
    jq -c '{id, text: (.query + " " + (.passages[:2] | map(.text? // .) | join(" ")))}' examples/questions.jsonl |
        head -n 8 >"$work/in"
    one_result "$work/in" medrat-score -q --max-length 100
}

@test "the score has its members, and they agree" {
    run -0 score <<<'{"id":"x","text":"the cause of fever"}'
    jq -e '.score | (keys_unsorted == ["nll", "tokens", "bytes", "loss", "perplexity", "truncated"])
        and .tokens > 1 and .nll > 0 and .truncated == 0 and .bytes > 0 and .bytes < 18
        and (.loss - .nll / .tokens | fabs) < 1e-12 and (.perplexity / (.loss | exp) - 1 | fabs) < 1e-12' <<<"$output"
}

@test "tokens come before all texts, and give the score of their text" {
    echo '{"text":"the cause of fever"}' >"$work/in"
    score "$work/in" | jq -c .score >"$work/text"
    medrat-tokenize -q -m "$tiny" "$work/in" | jq -c '{tokens, text: "another", context: 5}' >"$work/tokens"
    score "$work/tokens" | jq -c .score | cmp - "$work/text"
    medrat-tokenize -q -m "$tiny" "$work/in" | jq -e --slurpfile s "$work/text" '(.tokens | length) - 1 == $s[0].tokens'
}

@test "a continuation is scored given its context" {
    score <<<'{"text":"the cause of fever is a wound"}' >"$work/whole"
    score <<<'{"text":"the cause of fever"}' >"$work/first"
    score <<<'{"context":"the cause of fever","continuation":" is a wound"}' >"$work/second"
    jq -ne --slurpfile w "$work/whole" --slurpfile f "$work/first" --slurpfile s "$work/second" '
        ($w[0].score.nll - $f[0].score.nll - $s[0].score.nll | fabs) < 1e-9 and
        $w[0].score.tokens == $f[0].score.tokens + $s[0].score.tokens and
        $w[0].score.bytes == $f[0].score.bytes + $s[0].score.bytes and $s[0].score.bytes == 11'
    # white space at the end of the context belongs to the continuation
    score <<<'{"context":"the cause of fever ","continuation":"is a wound"}' | jq -c .score |
        cmp - <(jq -c .score "$work/second")
}

@test "a context that many continuations share is computed once" {
    for i in $(seq 12); do
        printf '{"id":%d,"context":"%s","continuation":" %s fever %d"}\n' "$i" \
            "$(printf 'pain and %.0s' $(seq $((40 + 30 * (i % 2)))))" "$(printf 'very %.0s' $(seq "$i"))" "$i"
    done >"$work/in"
    one_result "$work/in" score
    score --batch 5 --stats "$work/stats" "$work/in" | cmp - "$work/alone"
    jq -e '.shared_tokens % 64 == 0 and .shared_tokens > .prompt_tokens / 3' "$work/stats"
    jq -c '{id, text: (.context + .continuation)}' "$work/in" >"$work/whole"
    score --stats "$work/stats" "$work/whole" >/dev/null
    jq -e '.shared_tokens == 0' "$work/stats" # all tokens are targets
}

@test "prompt and completion are scored whole, or the completion alone" {
    echo '{"prompt":"the cause of fever","completion":" is a wound"}' >"$work/in"
    score "$work/in" | jq -c .score | cmp - <(score <<<'{"text":"the cause of fever is a wound"}' | jq -c .score)
    score --completion-only "$work/in" | jq -c .score |
        cmp - <(score <<<'{"context":"the cause of fever","continuation":" is a wound"}' |
            jq -c '.score | del(.logprob, .is_greedy)')
}

@test "the completion of a training text is what follows its response line" {
    printf '%s\n' '{"text":"### Query:\nfever?\n\n### Response:\nLook for it."}' >"$work/in"
    run -0 score --completion-only "$work/in"
    [ "$(jq .score.bytes <<<"$output")" = 12 ]
    # a token that spans the border is a target
    printf '%s\n' '{"prompt":"cause ","completion":"the fever"}' '{"prompt":"cause","completion":" the fever"}' >"$work/in"
    run -0 score --completion-only "$work/in"
    jq -se '.[0].score == .[1].score and .[0].score.bytes == 10' <<<"$output"
    run -1 score --completion-only <<<'{"text":"no such line"}'
    [ "$(jq -r .error.code <<<"$output")" = missing ]
    run -1 score --completion-only <<<'{"tokens":[1,2,3]}'
    [ "$(jq -r .error.code <<<"$output")" = missing ]
}

@test "where there is nothing to score, a reason stands in the record" {
    printf '%s\n' '{"text":""}' '{"tokens":[7]}' '{"context":"a cough","continuation":""}' '{"text":"fever and pain"}' >"$work/in"
    run -0 score "$work/in"
    jq -se 'map(.score) | all(.[:3][]; .tokens == 0 and .nll == 0 and .loss == null and .perplexity == null
        and (.reason | type) == "string") and .[3].tokens > 0 and (.[3] | has("reason") | not)' <<<"$output"
}

@test "what is too long loses its end or its beginning, and says how much" {
    printf '{"text":"%s"}\n' "$(printf 'fever and pain %.0s' $(seq 300))" >"$work/in"
    run -0 score --max-length 40 --stats "$work/stats" "$work/in"
    jq -e '.score.tokens == 39 and .score.truncated > 0' <<<"$output"
    jq -e '.truncated_records == 1 and .truncated_tokens > 0 and .scored_tokens == 39' "$work/stats"
    head=$(jq .score.nll <<<"$output")
    run -0 score --max-length 40 --truncate tail "$work/in"
    jq -e --argjson head "$head" '.score.tokens == 39 and .score.nll != $head' <<<"$output"
    run -1 score --max-length 40 --truncate error "$work/in"
    [ "$(jq -r .error.code <<<"$output")" = too_long ]
    run -0 score "$work/in" # 1024 unless said otherwise
    [ "$(jq .score.tokens <<<"$output")" = 1023 ]
    run -0 score --max-length 10 <<<'{"context":"fever fever fever fever fever fever","continuation":" is"}'
    [ "$(jq -r .score.reason <<<"$output")" = "all that would be scored was cut" ]
    run -0 score --max-length 10 --truncate tail <<<'{"context":"fever fever fever fever fever fever","continuation":" is"}'
    jq -e '.score.tokens > 0 and .score.bytes == 3' <<<"$output"
}

@test "tokens are listed with what they add up to" {
    printf '%s\n' '{"text":"the cause of fever"}' '{"tokens":[5]}' '{"context":"the cause","continuation":" of fever"}' >"$work/in"
    run -0 score --tokens "$work/in"
    jq -se '[.[0], .[2]] | all(.[].score; .tokens == (.ids | length) and .tokens == (.logprobs | length)
        and .tokens == (.ranks | length) and (.nll + (.logprobs | add) | fabs) < 1e-12
        and (.ranks | all(. >= 1)) and (.logprobs | all(. < 0)))' <<<"$output"
    jq -se '.[1].score | .ids == [] and .logprobs == [] and .ranks == []' <<<"$output"
    head -n 1 "$work/in" | medrat-tokenize -q -m "$tiny" >"$work/tokens"
    jq -se --slurpfile t "$work/tokens" '.[0].score.ids == $t[0].tokens[1:]' <<<"$output"
    # without the option the same but for the lists
    score "$work/in" | jq -c .score | cmp - <(jq -c '.score | del(.ids, .logprobs, .ranks)' <<<"$output")
}

@test "a continuation is greedy when each of its tokens is the likeliest" {
    for letter in {a..z} ' '; do
        printf '{"context":"the cause of feve","continuation":"%s"}\n' "$letter"
        printf '{"context":"pain and ab","continuation":"%s"}\n' "$letter"
    done >"$work/in"
    echo '{"context":"fever","continuation":""}' >>"$work/in"
    run -0 score --tokens "$work/in"
    jq -se 'map(.score | select(.tokens > 0)) | length > 40 and all(.[]; .is_greedy == (.ranks | all(. == 1)) and .logprob == -.nll)' <<<"$output"
    jq -se '.[-1].score | .is_greedy == null and .logprob == null and .reason != null' <<<"$output"
    # ranks are needed and not shown
    score "$work/in" | jq -c .score | cmp - <(jq -c '.score | del(.ids, .logprobs, .ranks)' <<<"$output")
    need_models
    printf '{"context":"The capital of France is","continuation":" %s"}\n' Paris Rome >"$work/in"
    run -0 medrat-score -q "$work/in"
    [ "$(jq -c .score.is_greedy <<<"$output" | tr '\n' ' ')" = "true false " ]
}

@test "a long text is scored in windows, each token once" {
    printf '{"id":1,"text":"%s"}\n{"id":2,"text":"fever and pain"}\n' "$(printf 'fever and pain %.0s' $(seq 300))" >"$work/in"
    score "$work/in" >"$work/short"
    n=$(head -n 1 "$work/in" | medrat-tokenize -q -m "$tiny" | jq .n_tokens)
    score --truncate window --max-length 100 --stride 30 "$work/in" >"$work/windows"
    jq -se --argjson n "$n" '.[0].score | .tokens == $n - 1 and .truncated == 0
        and .windows == (($n - 100) / 30 | ceil) + 1' "$work/windows"
    jq -se '.[1].score.windows == 1' "$work/windows"
    jq -c 'select(.id == 2).score' "$work/short" | cmp - <(jq -c 'select(.id == 2).score | del(.windows)' "$work/windows")
    score --truncate window --max-length 100 "$work/in" | cmp - <(score --truncate window --max-length 100 --stride 50 "$work/in")
    check_one_result "$work/in" score --truncate window --max-length 100 --stride 30 --tokens
    # the completion alone, from windows that reach it
    printf '{"prompt":"%s","completion":" is a wound"}\n' "$(printf 'fever and pain %.0s' $(seq 300))" >"$work/in"
    run -0 score --completion-only --truncate window --max-length 100 "$work/in"
    jq -e '.score.windows == 1 and .score.bytes == 11' <<<"$output"
}

@test "windows that leave tokens out are refused" {
    run -64 --separate-stderr score --stride 3 <<<'{"text":"x"}'
    [[ "$stderr" == *"option '--stride' means nothing without --truncate window"* ]]
    run -64 --separate-stderr score --truncate window --max-length 20 --stride 20 <<<'{"text":"x"}'
    [[ "$stderr" == *"windows of 20 tokens may be 19 apart, not 20"* ]]
    run -64 --separate-stderr score --truncate window --max-length 1M <<<'{"text":"x"}'
    [[ "$stderr" == *"do not fit the model's context"* ]]
}

@test "a record that cannot be scored fails alone" {
    printf '%s\n' '{"x":1}' '{"text":5}' '{"continuation":"x"}' '{"completion":"x"}' '{"tokens":["a"]}' \
        '{"text":"fever","score":1}' '{"tokens":[1,999999]}' '{"text":"fever"}' >"$work/in"
    run -1 score "$work/in"
    [ "$(jq -rs 'map(.error.code // "done") | join(" ")' <<<"$output")" = \
        "missing type missing missing type exists range done" ]
    [ "$(jq -rs 'map(.error.member // "-") | join(" ")' <<<"$output")" = \
        "text text context prompt tokens[0] score - -" ]
}

@test "a model without a tokenizer scores tokens" {
    tiny=$BATS_FILE_TMPDIR/tiny/mistral-f32
    printf '%s\n' '{"tokens":[3,4,5]}' '{"text":"fever"}' >"$work/in"
    run -1 score "$work/in"
    jq -se '.[0].score.tokens == 2 and .[0].score.bytes == null and .[1].error.code == "no_tokenizer"' <<<"$output"
}

@test "sense is likelier than its shuffled words" {
    need_models
    printf '%s\n' '{"text":"Aspirin is used to treat pain, fever and inflammation."}' \
        '{"text":"fever used inflammation. to is pain, treat Aspirin and"}' >"$work/in"
    run -0 medrat-score -q "$work/in"
    jq -se '.[0].score.loss + 1 < .[1].score.loss and .[0].score.loss < 4' <<<"$output"
}

@test "members that are kept cost nothing" {
    echo '{"text":"fever","score":{"nll":1e0}}' >"$work/in"
    score --existing keep "$work/in" | cmp - "$work/in"
    run -0 score --existing replace "$work/in"
    jq -e '.score.tokens >= 0 and .score.nll != 1' <<<"$output"
}

@test "a model in several files scores by path and out of the Hugging Face cache alike" {
    export HF_HOME=$work/hf
    repo=$HF_HOME/hub/models--org--tiny
    commit=0123456789abcdef0123456789abcdef01234567
    tiny=$BATS_FILE_TMPDIR/tiny/mistral-shards
    mkdir -p "$repo/blobs" "$repo/refs" "$repo/snapshots/$commit"
    printf %s "$commit" >"$repo/refs/main"
    for file in "$tiny"/*; do
        cp "$file" "$repo/blobs/$(cksum <"$file" | tr ' ' -)"
        ln -s "../../blobs/$(cksum <"$file" | tr ' ' -)" "$repo/snapshots/$commit/${file##*/}"
    done
    seq -s, 3 290 | sed 's/.*/{"tokens":[&]}/' >"$work/in"
    score "$work/in" >"$work/by_path"
    tiny=org/tiny
    score --stats "$work/stats" "$work/in" | cmp - "$work/by_path"
    jq -e --arg folder "$repo/snapshots/$commit" '(.model | test("^tiny@[0-9a-f]{16}$"))
        and .weights == $folder + "/model.safetensors.index.json (3 files)"' "$work/stats"
    rm "$repo/blobs/$(cksum <"$BATS_FILE_TMPDIR/tiny/mistral-shards/model-00002-of-00003.safetensors" | tr ' ' -)"
    run -66 --separate-stderr score "$work/in"
    [[ "$stderr" == *"/snapshots/$commit/model-00002-of-00003.safetensors: No such file or directory" ]]
}
