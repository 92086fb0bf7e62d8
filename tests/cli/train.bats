#!/usr/bin/env bats
# medrat-train from the outside: what rows are, what is written, what is refused, and that a run that
# was stopped, however, gives the bytes of one that was not.

bats_require_minimum_version 1.5.0

load common

setup_file() {
    make_tiny "$BATS_FILE_TMPDIR/models"
    cd "$BATS_FILE_TMPDIR"
    for i in $(seq 22); do
        printf '{"id":"q%d","text":"%s fever %d"}\n' "$i" "$(printf 'pain and %.0s' $(seq $((i % 5 + 1))))" "$i"
    done >rows.jsonl
    sed 's/pain/gout/; s/"q/"v/' rows.jsonl | head -n 6 >held.jsonl
    jq -c '{id, query: ("what is " + .id), rationales: ["Look for \(.id).", "And for more of it."]}' \
        rows.jsonl >rationales.jsonl
}

setup() {
    set -o pipefail
    real_models=$MEDRAT_MODELS
    export MEDRAT_MODELS=$BATS_FILE_TMPDIR/models
    base=$MEDRAT_MODELS/llama-q4_1.gguf # byte-level BPE
    rows=$BATS_FILE_TMPDIR/rows.jsonl
    held=$BATS_FILE_TMPDIR/held.jsonl
    rationales=$BATS_FILE_TMPDIR/rationales.jsonl
    mkdir "$BATS_TEST_TMPDIR/work" # bats keeps files of its own beside it
    cd "$BATS_TEST_TMPDIR/work"
    options=(-q -m "$base" --rank 4 --batch 2 --accumulation 2 --lr 0.01 --epochs 1 --checkpoint-every 1)
}

teardown() {
    [ -z "${tool:-}" ] || kill -KILL "$tool" 2>/dev/null || true
}

# Four rows a step and six steps an epoch, each of which is written down.
train() { # train OPTION... FILE
    medrat-train "${options[@]}" "$@"
}

validated() {
    train --validation "$held" --validate-every 2 "$@"
}

# A run of 4000 epochs into cut, in the background as $tool, with a checkpoint on disk.
start() {
    env --default-signal=INT medrat-train "${options[@]}" --epochs 4000 --validation "$held" \
        --validate-every 2 -o cut "$rows" 3>&- &
    tool=$!
    until_true test -s cut.part/checkpoint.safetensors
}

stop() { # stop SIGNAL STATUS
    local status=0
    kill "-$1" "$tool"
    wait "$tool" || status=$?
    tool=
    [ "$status" = "$2" ]
}

same_adapter() { # same_adapter DIR DIR
    cmp "$1/adapter_model.safetensors" "$2/adapter_model.safetensors"
    cmp "$1/adapter_config.json" "$2/adapter_config.json"
    cmp "$1/README.md" "$2/README.md"
}

steps() { # steps DIR: those that metrics.jsonl tells of
    jq -r 'select(.loss) | .step' "$1/metrics.jsonl" | paste -sd ' '
}

loss() { # loss [OPTION]...: mean loss of the rows
    medrat-score -q -m "$base" "$@" "$rows" | jq -s '(map(.score.nll) | add) / (map(.score.tokens) | add)'
}

@test "an adapter is trained that the other tools load and that finds the rows likelier" {
    run -0 --separate-stderr train --epochs 3 -o mine "$rows"
    [ "$output" = "" ] && [ "$stderr" = "" ]
    [ "$(ls -A mine)" = "$(printf '%s\n' README.md adapter_config.json adapter_model.safetensors metrics.jsonl)" ]
    [ ! -e mine.part ]
    jq -e '.peft_type == "LORA" and .r == 4 and .lora_alpha == 32 and .lora_dropout == 0.05 and
        .task_type == "CAUSAL_LM" and .target_modules == ["q_proj", "k_proj", "v_proj", "o_proj"] and
        .base_model_name_or_path == "llama-q4_1"' mine/adapter_config.json
    jq -es 'length == 18 and (map(.step) == [range(1; 19)]) and .[17].loss < .[0].loss and .[0].lr == 0.01 and
        .[17].epoch == 3 and all(.[]; .gradient_norm > 0 and .tokens > .targets and .tokens_per_second > 0)' mine/metrics.jsonl
    with=$(loss --adapter mine)
    without=$(loss)
    echo "$without -> $with"
    jq -en "$with < $without - 0.2"
    run -0 medrat-gen -q -m "$base" --adapter mine --recipe raw --max-tokens 2 --query gout
}

@test "the loss of the first step is that of medrat-score" {
    # B is zero: the adapter changes nothing yet, and nothing is left out of it
    head -n 4 "$rows" | jq -c 'del(.id)' >four
    train --steps 1 --card -o first four
    medrat-score -q -m "$base" four | jq -s '(map(.score.nll) | add) / (map(.score.tokens) | add)' >wanted
    jq -e --slurpfile wanted wanted '(.loss - $wanted[0] | fabs) < 5e-3' first/metrics.jsonl
}

@test "the same bits for every number of threads, batch and use of memory" {
    train -o one --threads 1 "$rows"
    train -o two --threads 2 "$rows"
    same_adapter one two
    train -o four --batch 4 --accumulation 1 --threads 2 "$rows"
    cmp one/adapter_model.safetensors four/adapter_model.safetensors
    [ "${MEDRAT_BUILD_CONFIG:-release}" = release ] || return 0 # a sanitizer's own memory is in the estimate
    # what keeping all takes is more than is allowed, what computing again takes is not
    jq -nc 'range(4) | {id: ., tokens: [range(3; 250)]}' >long
    train --batch 4 -o all long
    run -71 --separate-stderr train --batch 4 --mem 1M -o none long
    total=$(sed 's/.*may need \([0-9]*\).*/\1/' <<<"$stderr")
    run -0 --separate-stderr medrat-train "${options[@]:1}" -v --batch 4 --mem $((total + 1))M -o short long
    [[ "$stderr" == *"activations are computed again"* ]]
    same_adapter all short
}

@test "another seed, order or dropout is another adapter" {
    train -o one "$rows"
    for other in '--seed 7' '--dropout 0' '--card' '--schedule cosine' '--warmup 50%' '--weight-decay 0.5' \
        '--rank 5' '--targets q,v' '--rslora' '--clip 0.001' '--completion-only --rows recipe' '--type f16'; do
        input=$rows
        [[ "$other" != *recipe* ]] || input=$rationales
        train $other -o other "$input"
        run -1 cmp -s one/adapter_model.safetensors other/adapter_model.safetensors
        rm -r other
    done
}

@test "the best adapter by validation is kept, and a run that does not get better ends" {
    validated --lr 1 --schedule constant --epochs 5 --patience 2 -o best "$rows"
    jq -s 'map(select(.validation_loss))' best/metrics.jsonl >v
    best=$(jq 'map(.validation_loss) | min' v)
    jq -e "map(select(.best)) | last.validation_loss == $best" v
    jq -e '(.[-2:] | map(.best)) == [false, false]' v # patience: two that were none better
    medrat-score -q -m "$base" --adapter best "$held" |
        jq -es --argjson best "$best" '(map(.score.tokens) | add) as $n | (map(.score.nll) | add) / $n < $best + 0.5'
    grep -q 'stopped early' best/README.md
}

@test "query and rationales become the fine-tune's text" {
    jq -c --arg prompt "$(sed -n 's/^  //p' "$BATS_TEST_DIRNAME/../../formats/recipes/rationales.yaml" | head -n 1)" '
        {id, text: ("### Instruction:\nGiven the user query below, generate 2 concise rationales (1–2 sentences each) describing what evidence a correct passage should contain.\n\n### Query:\n"
            + .query + "\n\n### Response:\n" + (.rationales | join("\n")))}' "$rationales" >texts.jsonl
    for how in "" --completion-only; do
        train $how --max-length 512 -o recipe "$rationales"
        train $how --max-length 512 -o text texts.jsonl
        same_adapter recipe text
        rm -r recipe text
    done
    # of prompt and completion the same
    jq -c '(.text | split("### Response:\n")) as $t | {id, prompt: ($t[0] + "### Response:\n"), completion: $t[1]}' \
        texts.jsonl >pairs.jsonl
    train --completion-only -o pair pairs.jsonl
    train --completion-only --rows recipe -o recipe "$rationales"
    same_adapter pair recipe
}

@test "the texts of the data set and their rationales are the same rows" {
    export MEDRAT_MODELS=$real_models
    need_data
    need_models
    # those whose text is whole, and asks for as many rationales as it has
    jq -c 'select(.text == "### Instruction:\nGiven the user query below, generate \(.rationales | length) concise rationales (1–2 sentences each) describing what evidence a correct passage should contain.\n\n### Query:\n"
        + .query + "\n\n### Response:\n" + (.rationales | join("\n")))' \
        "$MEDRAT_DATA/rationales/val.jsonl" >whole.jsonl
    [ "$(n_lines whole.jsonl)" -gt 3000 ]
    for how in auto recipe; do
        for only in "" --completion-only; do
            medrat-train -q -m smollm2 --rows $how $only --steps 1 --batch 1 --accumulation 1 -o $how$only whole.jsonl
        done
    done
    for only in "" --completion-only; do
        same_adapter auto$only recipe$only # their README.md have the hash of all rows
    done
}

@test "an end token is learned, but not by --card, nor behind what was cut" {
    targets() { # targets OPTION... FILE
        train --steps 1 -o t "$@"
        jq -s '.[0].targets' t/metrics.jsonl
        rm -r t
    }
    echo '{"text":"gout"}' >one
    n=$(targets one)
    [ "$(targets --card one)" = $((n - 1)) ]
    [ "$(targets --max-length $n one)" = $((n - 1)) ] # no room for it
    # a text of the fine-tune's form that has no completion is not at its end
    printf '%s\n' '{"text":"### Instruction:\nx\n\n### Query:\ngout"}' >stub
    n=$(targets stub)
    [ "$(targets --card stub)" = "$n" ]
}

@test "rows that cannot be are told, left out and counted" {
    printf '%s\n' '{"text":"gout is painful"}' '{"text":""}' '{"x":1}' 'no json' '{"query":"q","rationales":[]}' \
        '{"query":"q","rationales":"r"}' '{"tokens":[5,6,999999]}' '{"error":{"tool":"x","code":"y"}}' \
        '{"text":"gout is very painful"}' >mixed
    run -1 --separate-stderr medrat-train "${options[@]:1}" --steps 2 --errors failed --stats stats -o a mixed
    [ "${#stderr_lines[@]}" = 7 ] # the last counts those that failed before
    [[ "$stderr" == *"mixed:2: there is nothing to learn"* && "$stderr" == *"mixed:3: "* ]]
    jq -e '.records == 9 and .done == 2 and .failed == 7 and .rows == 2 and .steps == 2' stats
    [ "$(jq -r .line failed | paste -sd ' ')" = "2 3 4 5 6 7 8" ]
    [ -s a/adapter_model.safetensors ]
    run -0 train --steps 2 --max-errors 7 -o b mixed
    same_adapter a b
    run -65 --separate-stderr train --on-error fail -o c mixed
    [[ "$stderr" == *"stopped at mixed:2, the first failed record"* ]]
    [ ! -e c ] && [ ! -e c.part ]
    run -65 train --completion-only -o c <(echo '{"text":"gout"}')
}

@test "no rows at all: exit 65, and nothing is made" {
    : >empty
    run -65 --separate-stderr train -o a empty
    [ "$stderr" = "medrat-train: no row to train on came in" ]
    run -65 --separate-stderr train --validation empty -o a "$rows"
    [ "$stderr" = "medrat-train: empty: no row came in" ]
    run -66 train -o a nowhere
    run -66 train --validation nowhere -o a "$rows"
    run -65 train --expect 5 -o a "$rows"
    [ "$(ls -A)" = empty ]
}

@test "rows that are too long are cut and counted, or fail" {
    run -0 --separate-stderr medrat-train -m "$base" --rank 4 --steps 1 --max-length 12 --stats stats -o a "$rows"
    [[ "$stderr" == *"training: "*" of 22 rows were cut"* ]]
    jq -e '.truncated > 10 and .truncated <= 22' stats
    run -1 --separate-stderr train --steps 1 --max-length 24 --truncate error --stats stats -o b "$rows"
    jq -e '.failed > 0 and .done > 0' stats
    run -64 --separate-stderr train --max-length 100000 -o c "$rows"
    [[ "$stderr" == *"the model takes"* ]]
}

@test "a folder that is there stays, unless told otherwise" {
    train -o a "$rows"
    cp -r a before
    run -64 --separate-stderr train -o a "$rows"
    [[ "$stderr" == *"a: is there already; --force replaces it"* ]]
    run -0 train --seed 7 --force -o a "$rows"
    run -1 cmp -s a/adapter_model.safetensors before/adapter_model.safetensors
    [ "$(ls)" = "$(printf '%s\n' a before)" ]
    touch a/notes.txt # somebody's own
    run -64 --separate-stderr train --force -o a "$rows"
    [[ "$stderr" == *"has the file 'notes.txt'"* ]]
    touch file
    run -64 train --force -o file "$rows"
    run -64 --separate-stderr train "$rows"
    [[ "$stderr" == *"option '--output' must say where"* ]]
}

@test "--init goes on from an adapter, of the same base and shape" {
    train -o a "$rows"
    run -0 medrat-train -q -m "$base" --lr 0.001 --steps 1 --dropout 0 --init a -o b "$rows"
    last=$(jq -s '.[-1].loss' a/metrics.jsonl)
    jq -e "(.loss - $last | fabs) < 1" b/metrics.jsonl
    jq -e '.r == 4' b/adapter_config.json
    run -78 --separate-stderr medrat-train -q -m "$MEDRAT_MODELS/llama-linear-v2.gguf" --init a -o c "$rows"
    [[ "$stderr" == "medrat-train: a/adapter_config.json: base_model_name_or_path: made for the model 'llama-q4_1', but this is 'llama-linear-v2'"* ]]
    cp -r a renamed
    sed -i 's/"llama-q4_1"/"llama-linear-v2"/' renamed/adapter_config.json
    run -78 --separate-stderr medrat-train -q -m "$MEDRAT_MODELS/llama-linear-v2.gguf" --init renamed -o c "$rows"
    [[ "$stderr" == *"tensor 'base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight': shape ["* ]]
    for other in '--rank 5' '--alpha 7' '--targets q' '--rslora'; do
        run -64 --separate-stderr medrat-train -q -m "$base" $other --init a -o c "$rows"
        [[ "$stderr" == *"the adapter of --init, a, has another"* ]]
    done
    run -66 medrat-train -q -m "$base" --init nowhere -o c "$rows"
    [ ! -e c ] && [ ! -e c.part ]
}

@test "numbers that go astray end the run by step and rows, and the checkpoint stays" {
    cp -r "$MEDRAT_MODELS/llama-f32" broken
    chmod -R u+w broken
    weights=broken/model.safetensors
    size=$(od -An -tu8 -N8 "$weights" | tr -d ' ')
    at=$(head -c $((8 + size)) "$weights" | tail -c "$size" | jq '.["model.norm.weight"].data_offsets[0]')
    printf '{"id":"%s","tokens":[5,6,7,8]}\n' one two >ids
    medrat-train -q -m broken --rank 2 --steps 2 --checkpoint-every 1 -o good ids
    # 3e38 in many places: each is a number, what is summed of them is none
    printf '\xe6\xb1\x61\x7f%.0s' {1..48} | dd of="$weights" bs=1 seek=$((8 + size + at)) conv=notrunc status=none
    run -65 --separate-stderr medrat-train -q -m broken --rank 2 --steps 2 --checkpoint-every 1 -o bad ids
    [[ "$stderr" == 'medrat-train: step 1: the loss is not a number, rows '*'"one"'* ]]
    [ ! -e bad ]
}

# ---- stopping and going on

@test "a run that is stopped by SIGTERM goes on, to the same bytes" {
    validated --epochs 60 -o whole "$rows"
    medrat-train "${options[@]}" --validation "$held" --validate-every 2 --epochs 60 -o cut "$rows" 3>&- &
    tool=$!
    until_true has_lines cut.part/metrics.jsonl 5
    stop TERM 75
    [ -s cut.part/checkpoint.safetensors ] && [ ! -e cut ]
    # the best so far can be used already
    run -0 medrat-score -q -m "$base" --adapter cut.part "$held"
    run -0 --separate-stderr medrat-train "${options[@]:1}" --validation "$held" --validate-every 2 --epochs 60 \
        -o cut --threads 1 "$rows"
    [[ "$stderr" == *"goes on after step "*" of 360"* ]]
    same_adapter whole cut
    [ "$(steps cut)" = "$(seq 360 | paste -sd ' ')" ]
}

@test "SIGINT: a checkpoint, then death by it" {
    start
    stop INT 130
    last=$(jq -s 'map(.step) | max' cut.part/metrics.jsonl)
    run --separate-stderr timeout -s TERM 0.5 medrat-train "${options[@]:1}" --epochs 4000 --validation "$held" \
        --validate-every 2 -o cut "$rows"
    [[ "$stderr" == *"goes on after step $last of 24000"* ]]
}

@test "killed at any moment, the same command gives the same bytes" {
    validated --epochs 60 -o whole "$rows"
    for after in 0.05 0.1 0.2 0.3 0.4 0.5; do
        for go in 1 2 3; do # several times in a row
            [ ! -e cut ] || break
            timeout --signal=KILL "$after" medrat-train "${options[@]}" --epochs 60 \
                --validation "$held" --validate-every 2 -o cut "$rows" || true
        done
        [ -e cut ] || validated --epochs 60 -o cut "$rows"
        same_adapter whole cut
        [ "$(steps cut)" = "$(seq 360 | paste -sd ' ')" ]
        [ "$(ls -A cut)" = "$(printf '%s\n' README.md adapter_config.json adapter_model.safetensors metrics.jsonl)" ]
        rm -r cut
    done
}

@test "killed at every write, rename and removal, the same command gives the same bytes" {
    strace -o /dev/null true 2>/dev/null || skip "strace cannot be used here"
    [ "${MEDRAT_BUILD_CONFIG:-release}" = release ] || skip "the sanitizers do not run under strace"
    validated -o whole "$rows"
    for call in write fsync rename unlink mkdir ftruncate fchmod; do
        for ((k = 1; ; k += k / 8 + 1)); do
            # --force: at the very end the folder replaces another
            status=0
            cp -r whole cut
            strace -f -o trace -e "inject=$call:signal=KILL:when=$k" medrat-train "${options[@]}" \
                --validation "$held" --validate-every 2 --threads 1 --force -o cut "$rows" || status=$?
            if [ "$status" != 0 ]; then
                [ "$status" = 137 ]
                cmp whole/adapter_model.safetensors cut/adapter_model.safetensors # the old one or the new
                validated --force -o cut "$rows"
            fi
            same_adapter whole cut
            [ ! -e cut.part ] && [ ! -e cut/checkpoint.safetensors ]
            rm -r cut
            [ "$status" != 0 ] || break
        done
        echo "$call: $k"
        [ "$call" = mkdir ] || [ "$k" -gt 1 ]
    done
}

@test "a checkpoint goes on with its own settings and rows only" {
    start
    stop TERM 75
    differs() { # differs NAME OPTION... FILE
        run -78 --separate-stderr validated --epochs 4000 -o cut "${@:2}"
        [[ "$stderr" == "medrat-train: cut.part/checkpoint.safetensors: made with another '$1': it was "*"; --restart begins anew"* ]]
    }
    differs lr --lr 0.02 "$rows"
    differs rank --rank 5 "$rows"
    differs seed --seed 1 "$rows"
    differs steps --steps 24 "$rows"
    differs patience --patience 3 "$rows"
    differs validation --validation "$rows" "$rows"
    sed 's/fever 7/fever 8/' "$rows" >other
    differs data other
    run -78 --separate-stderr validated --epochs 4000 -m "$MEDRAT_MODELS/llama-f32.gguf" -o cut "$rows"
    [[ "$stderr" == *"made with another 'model': it was llama-q4_1@"*", and is llama-f32@"* ]]
    run -78 --separate-stderr env MEDRAT_KERNELS=scalar medrat-train "${options[@]}" --epochs 4000 --validation "$held" --validate-every 2 -o cut "$rows"
    [[ "$stderr" == *"made with another 'kernels': it was "*", and is scalar;"* ]]
    run -0 validated --restart --lr 0.02 -o cut "$rows"
    validated --lr 0.02 -o fresh "$rows"
    same_adapter cut fresh
}

@test "a damaged checkpoint is refused by name" {
    start
    stop TERM 75
    cp cut.part/checkpoint.safetensors kept
    printf 'x' | dd of=cut.part/checkpoint.safetensors bs=1 seek=2000 conv=notrunc status=none
    run -78 --separate-stderr validated --epochs 4000 -o cut "$rows"
    [ "$stderr" = "medrat-train: cut.part/checkpoint.safetensors: the values are not those that were written" ]
    head -c 5000 kept >cut.part/checkpoint.safetensors
    run -78 --separate-stderr validated --epochs 4000 -o cut "$rows"
    [[ "$stderr" == "medrat-train: cut.part/checkpoint.safetensors: "* ]]
}

@test "one run at a time in a folder" {
    start
    run -75 --separate-stderr train --epochs 4000 -o cut "$rows"
    [ "$stderr" = "medrat-train: cut.part: another run is at work here" ]
    stop TERM 75
}

@test "a disk that fills while saving: exit 74, the old checkpoint goes on" {
    train -o whole "$rows"
    # files of 64 KiB at most: the checkpoint does not fit, whatever comes before it does
    run -74 --separate-stderr bash -c 'ulimit -f 64; exec medrat-train "$@"' - "${options[@]}" -o cut "$rows"
    [[ "$stderr" == *"cut.part/checkpoint.safetensors: File too large"* ]]
    [ "$(ls -A cut.part)" = metrics.jsonl ]
    train -o cut "$rows"
    same_adapter whole cut
    rm -r cut
    strace -o /dev/null true 2>/dev/null || skip "strace cannot be used here"
    [ "${MEDRAT_BUILD_CONFIG:-release}" = release ] || skip "the sanitizers do not run under strace"
    for fault in write:error=ENOSPC:when=12+ fsync:error=EIO:when=5 rename:error=ENOSPC:when=3+; do
        run -74 strace -f -o trace -e "inject=$fault" medrat-train "${options[@]}" --threads 1 -o cut "$rows"
        [ ! -e cut ]
        [ "$(ls -A cut.part | grep -c '^\.medrat')" = 0 ]
        train -o cut "$rows"
        same_adapter whole cut
        rm -r cut
    done
}

@test "options of training are checked" {
    run -64 train --targets q,w -o a "$rows"
    run -64 train --targets '' -o a "$rows"
    run -64 train --epochs 0 -o a "$rows"
    run -64 train --warmup much -o a "$rows"
    run -78 train -m "$MEDRAT_MODELS/bert-f32" -o a "$rows"
    printf 'rank: 3\nlr: 0.001\ntargets: all\ncompletion-only: true\nrows: recipe\nsteps: 1\n' >train.yaml
    run -0 medrat-train -q -m "$base" -c train.yaml -o a "$rationales"
    jq -e '.r == 3 and (.target_modules | length) == 7' a/adapter_config.json
}
