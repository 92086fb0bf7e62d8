#!/usr/bin/env bats
# Options of every tool: --help, man page, environment, configuration file, messages.

bats_require_minimum_version 1.5.0

load common

tools="medrat-tokenize medrat-gen medrat-score medrat-rerank medrat-train"

setup() {
    work=$BATS_TEST_TMPDIR
    cd "$work"
    make_vocab vocab.txt
    echo '{"text":"a b c d e f"}' >text.jsonl
}

# The long options that --help lists, one a line, in its order; not those that its texts mention.
listed() { # listed TOOL
    "$1" --help | grep -E '^  (-[a-zA-Z0-9],|   ) --' | sed -E 's/^( +[^ ]+( [^ ]+)*)  .*/\1/' | grep -oE -- '--[a-z][a-z0-9-]*' | uniq
}

# How many tokens the tokenizer of this test makes of text.jsonl.
n_tokens() { # n_tokens OPTION...
    medrat-tokenize -q -m vocab.txt "$@" text.jsonl | jq .n_tokens
}

@test "the man page lists the options of --help, in its order" {
    for tool in $tools; do
        page=$MEDRAT_BUILD/man/$tool.1
        need "the man pages (scdoc)" test -e "$page"
        awk '/^\.SH/ { on = /OPTIONS/ } on' "$page" | sed -e 's/\\f[BIRP]//g' -e 's/\\//g' |
            grep -E '^(-[a-zA-Z0-9], )?--' | grep -oE -- '--[a-z][a-z0-9-]*' | uniq >"$tool.man"
        listed "$tool" >"$tool.help"
        [ "$(wc -l <"$tool.help")" -gt 10 ]
        diff "$tool.man" "$tool.help"
    done
}

@test "the man page names no option that no tool has" {
    for tool in $tools; do
        listed "$tool"
    done | sort -u >all
    for tool in $tools; do
        page=$MEDRAT_BUILD/man/$tool.1
        need "the man pages (scdoc)" test -e "$page"
        sed -e 's/\\f[BIRP]//g' -e 's/\\//g' "$page" | grep -oE -- '--[a-z][a-z0-9-]*' | sort -u >named
        comm -23 named all >ghosts
        [ ! -s ghosts ] || { cat ghosts; return 1; }
    done
}

@test "each option of --help stands under a heading" {
    for tool in $tools; do
        "$tool" --help >help
        [ "$(awk '/^[A-Z].*:$/ { under = 1 } /^$/ { under = 0 } /^(  |      )-/ && !under' help)" = "" ]
    done
}

@test "bash completes every option, the values of choices, and files" {
    source "$MEDRAT_BUILD/completion/medrat"
    for tool in $tools; do
        complete -p "$tool" | grep -q -- '-F _medrat'
        COMP_WORDS=("$tool" --) COMP_CWORD=1
        _medrat "/usr/bin/$tool" -- "$tool"
        printf '%s\n' "${COMPREPLY[@]}" | sort >completed
        listed "$tool" | sort | diff - completed
    done
    _medrat medrat-score he --truncate
    [ "${COMPREPLY[*]}" = head ]
    COMP_WORDS=(medrat-score --truncate = w) COMP_CWORD=3
    _medrat medrat-score w =
    [ "${COMPREPLY[*]}" = window ]
    touch questions.jsonl
    _medrat medrat-gen quest -o
    [ "${COMPREPLY[*]}" = questions.jsonl ]
    _medrat medrat-gen quest medrat-gen
    [ "${COMPREPLY[*]}" = questions.jsonl ]
    _medrat medrat-gen 1 --batch
    [ "${#COMPREPLY[@]}" -eq 0 ]
}

@test "medrat(7) has every member, code and file that formats/README.md has" {
    need "the man pages (scdoc)" test -e "$MEDRAT_BUILD/man/medrat.7"
    man -l "$MEDRAT_BUILD/man/medrat.7" | col -b >page
    sed -n '/^## Records/,/^## Recipes/s/^| `\([a-z_-]*\)`.*/\1/p' "$root/formats/README.md" >names
    [ "$(wc -l <names)" -gt 40 ]
    while read -r name; do
        grep -qE "^ +$name\\b" page || { echo "$name"; return 1; }
    done <names
}

@test "every option that --help lists is understood, with its argument if it shows one" {
    for tool in $tools; do
        for option in $(listed "$tool"); do
            if "$tool" --help | grep -qE -- "$option [A-Z]"; then
                run -0 "$tool" "$option=x" --help
                run -64 "$tool" "$option"
                [[ "$output" == *"option '$option' needs an argument"* ]]
            else
                run -0 "$tool" "$option" --help
            fi
        done
    done
}

@test "--help fits 80 columns and names the tool's use first" {
    for tool in $tools; do
        run -0 --separate-stderr "$tool" --help
        [ "$stderr" = "" ]
        [[ "${lines[0]}" == "usage: $tool "* ]]
        for line in "${lines[@]}"; do
            [ "${#line}" -le 80 ] || { echo "$line"; return 1; }
        done
    done
}

@test "--version names libraries, Unicode and the intended use" {
    for tool in $tools; do
        run -0 --separate-stderr "$tool" --version
        [[ "${lines[0]}" =~ ^$tool\ [0-9]+\.[0-9]+\.[0-9]+$ ]]
        [[ "$output" == *Unicode* && "$output" == *"Intended use: research"* ]]
        [ "$stderr" = "" ]
    done
}

@test "help that cannot be written is an error" {
    for tool in $tools; do
        run -74 sh -c "$tool --help >/dev/full"
        run -74 sh -c "$tool --version >/dev/full"
    done
}

@test "a mistyped option gets a suggestion, the usage and exit 64" {
    for tool in $tools; do
        run -64 --separate-stderr "$tool" --quite
        [ "$output" = "" ]
        [ "${stderr_lines[0]}" = "$tool: unknown option '--quite'; did you mean '--quiet'?" ]
        [[ "${stderr_lines[1]}" == "usage: $tool "* ]]
        [ "${stderr_lines[2]}" = "try '$tool --help'" ]
    done
}

@test "options that mean nothing to a tool are absent from it" {
    for option in seed device threads batch temperature recipe query adapter compare; do
        run -64 medrat-tokenize "--$option=1"
    done
    for option in device seed temperature recipe query model adapter compare; do
        run -64 medrat-rerank "--$option=1"
    done
    for option in temperature recipe query seed samples; do
        run -64 medrat-score "--$option=1"
    done
    for option in temperature query format existing adapter compare; do
        run -64 medrat-train "--$option=1"
    done
    run -64 medrat-gen --compare
    for tool in $tools; do
        for option in resume shard device; do # of later versions
            run -64 "$tool" "--$option=1"
        done
    done
}

@test "numbers are read whole and in range" {
    for wrong in 0 -1 1.5 4x '' ' 4' 99999999999999999999 0x10; do
        run -64 --separate-stderr medrat-score --batch "$wrong" text.jsonl
        [[ "${stderr_lines[0]}" == *"option '--batch': '$wrong' is not a whole number from 1 to "* ]]
    done
    for wrong in nan inf -0.1 1.1 1e999 half; do
        run -64 --separate-stderr medrat-gen --top-p "$wrong" --query x
        [[ "${stderr_lines[0]}" == *"option '--top-p': '$wrong' is not a number from 0 to 1"* ]]
    done
}

@test "flag goes before environment before file before default" {
    echo 'max-length: 3' >three.yaml
    [ "$(n_tokens)" = 8 ] # six letters and the two special tokens
    [ "$(n_tokens -c three.yaml)" = 3 ]
    [ "$(MEDRAT_MAX_LENGTH=4 n_tokens -c three.yaml)" = 4 ]
    [ "$(MEDRAT_MAX_LENGTH=4 n_tokens -c three.yaml --max-length 5)" = 5 ]
    [ "$(MEDRAT_CONFIG=three.yaml n_tokens)" = 3 ]
    [ "$(MEDRAT_MAX_LENGTH= n_tokens)" = 8 ] # empty: not set
}

@test "every number can come from the environment, checked like a flag" {
    checked=0
    for tool in $tools; do
        for option in $(listed "$tool"); do
            "$tool" --help | grep -E -A 5 -- " $option N( |\$)" | grep -qE '[0-9] (or more|to [0-9])' || continue
            name=MEDRAT_$(echo "${option#--}" | tr a-z- A-Z_)
            run -78 --separate-stderr env "$name=x" "$tool" text.jsonl
            [[ "$stderr" == "$tool: environment variable $name: 'x' is not a "* ]]
            checked=$((checked + 1))
        done
    done
    [ "$checked" -ge 10 ]
}

@test "a configuration is refused with file, line and key" {
    printf '# mine\nmax-length: 3\nmax-lenght: 4\n' >wrong.yaml
    run -78 --separate-stderr medrat-tokenize -m vocab.txt -c wrong.yaml text.jsonl
    [ "$output" = "" ]
    [ "$stderr" = "medrat-tokenize: wrong.yaml:3: key 'max-lenght': unknown key; did you mean 'max-length'?" ]
    echo 'truncate: middle' >wrong.yaml
    run -78 --separate-stderr medrat-tokenize -m vocab.txt -c wrong.yaml text.jsonl
    [[ "$stderr" == "medrat-tokenize: wrong.yaml:1: key 'truncate': 'middle' is not head, tail or error"* ]]
    echo 'quiet: 1' >wrong.yaml
    run -78 --separate-stderr medrat-tokenize -m vocab.txt -c wrong.yaml text.jsonl
    [ "$stderr" = "medrat-tokenize: wrong.yaml:1: key 'quiet': must be true or false" ]
    echo 'model: &a vocab.txt' >wrong.yaml
    run -78 --separate-stderr medrat-tokenize -c wrong.yaml text.jsonl
    [ "$stderr" = "medrat-tokenize: wrong.yaml:1: anchors are not allowed" ]
    run -66 --separate-stderr medrat-tokenize -m vocab.txt -c nosuch.yaml text.jsonl
    [[ "$stderr" == *nosuch.yaml* ]]
}

@test "a configuration is never taken from the current folder unasked" {
    echo 'max-length: 3' >medrat.yaml
    cp medrat.yaml config.yaml
    cp medrat.yaml .medrat.yaml
    [ "$(n_tokens)" = 8 ]
}

@test "a configuration may be a pipe" {
    [ "$(n_tokens -c <(echo 'max-length: 3'))" = 3 ]
}

@test "a recipe is refused with file, line and key" {
    printf 'prompt: "{query}"\ntop_k: many\n' >mine.yaml
    run -78 --separate-stderr medrat-gen --recipe ./mine.yaml --query x
    [ "$stderr" = "medrat-gen: ./mine.yaml:2: key 'top_k': must be a whole number" ]
    printf 'prompt: "{query"\n' >mine.yaml
    run -78 --separate-stderr medrat-gen --recipe mine.yaml --query x
    [[ "$stderr" == "medrat-gen: mine.yaml:1: key 'prompt': line 1 of the text: "* ]]
}

@test "recipes are found in MEDRAT_SHARE, and then only there" {
    mkdir -p share/recipes
    printf 'prompt: [x]\n' >share/recipes/mine.yaml
    export MEDRAT_SHARE=$work/share
    run -78 --separate-stderr medrat-gen --recipe mine --query x
    [ "$stderr" = "medrat-gen: $work/share/recipes/mine.yaml:1: key 'prompt': must be a string" ]
    run -66 --separate-stderr medrat-gen --recipe raw --query x
    [ "$stderr" = "medrat-gen: no recipe 'raw'; there are: mine" ]
}

@test "recipes are found beside an installed program" {
    mkdir -p prefix/bin prefix/share/medrat/recipes
    cp "$MEDRAT_BIN/medrat-gen" prefix/bin
    printf 'prompt: [x]\n' >prefix/share/medrat/recipes/mine.yaml
    run -78 --separate-stderr prefix/bin/medrat-gen --recipe mine --query x
    [[ "$stderr" == *"/share/medrat/recipes/mine.yaml:1: key 'prompt': must be a string" ]]
}

@test "models that ship are found beside an installed program, after all others" {
    mkdir -p prefix/bin prefix/share/medrat/models models
    cp "$MEDRAT_BIN/medrat-tokenize" prefix/bin
    cp vocab.txt prefix/share/medrat/models/shipped
    run -0 prefix/bin/medrat-tokenize -m shipped text.jsonl
    run -66 medrat-tokenize -m shipped text.jsonl
    MEDRAT_SHARE=$work/prefix/share/medrat run -0 medrat-tokenize -m shipped text.jsonl
    echo 'no vocabulary' >models/shipped
    run -78 prefix/bin/medrat-tokenize -m shipped text.jsonl
}

@test "models are found by path, then by name where models lie" {
    export HOME=$work/home
    unset XDG_DATA_HOME
    export MEDRAT_MODELS=$work/first
    mkdir -p first/letters home/.local/share/medrat/models/mine models/local
    cp vocab.txt first/letters/only.file # a folder's one file is the model
    cp vocab.txt home/.local/share/medrat/models/mine
    cp vocab.txt models/local
    for name in letters mine local ./vocab.txt vocab.txt "$work/vocab.txt"; do
        run -0 --separate-stderr medrat-tokenize -m "$name" text.jsonl
    done
    XDG_DATA_HOME=$work/home/.local/share run -0 --separate-stderr medrat-tokenize -m mine text.jsonl
    run -66 --separate-stderr medrat-tokenize -m nosuch text.jsonl
    [[ "$stderr" == *"model 'nosuch'"*"'make models'"* ]]
    run -66 --separate-stderr medrat-tokenize -m ./nosuch text.jsonl
    [[ "$stderr" == *"model './nosuch': no such file or folder"* ]]
}

# A cache as Hugging Face's tools leave it: snapshots of links into blobs.
make_hub() { # make_hub HUB COMMIT
    mkdir -p "$1/models--org--letters"/{blobs,refs,"snapshots/$2"}
    cp vocab.txt "$1/models--org--letters/blobs/abc"
    ln -s ../../blobs/abc "$1/models--org--letters/snapshots/$2/vocab.txt"
    printf %s "$2" >"$1/models--org--letters/refs/main"
}

@test "ORG/NAME is taken from the local Hugging Face cache, wherever a variable says it lies" {
    commit=0123456789abcdef0123456789abcdef01234567
    unset HF_HUB_CACHE HF_HOME XDG_CACHE_HOME
    export HOME=$work/home
    make_hub "$work/a" $commit
    make_hub "$work/b/hub" $commit
    make_hub "$work/c/huggingface/hub" $commit
    make_hub "$work/home/.cache/huggingface/hub" $commit
    run -0 medrat-tokenize -m org/letters text.jsonl
    XDG_CACHE_HOME=$work/c run -0 medrat-tokenize -m org/letters text.jsonl
    HF_HOME=$work/b XDG_CACHE_HOME=$work/nosuch run -0 medrat-tokenize -m org/letters text.jsonl
    HF_HUB_CACHE=$work/a HF_HOME=$work/nosuch run -0 medrat-tokenize -m org/letters text.jsonl
    export HF_HUB_CACHE=$work/a
    run -0 medrat-tokenize -m org/letters@$commit text.jsonl
    run -0 medrat-tokenize -m org/letters@main text.jsonl
    rm a/models--org--letters/refs/main
    run -0 medrat-tokenize -m org/letters@$commit text.jsonl
}

@test "a name without ORG is taken from the Hugging Face cache when no other place has it" {
    commit=0123456789abcdef0123456789abcdef01234567
    export HF_HUB_CACHE=$work/hub
    make_hub "$work/hub" $commit
    mv hub/models--org--letters hub/models--letters
    run -0 medrat-tokenize -m letters text.jsonl
    run -0 medrat-tokenize -m letters@$commit text.jsonl
    run -66 --separate-stderr medrat-tokenize -m letters@v1 text.jsonl
    [[ "$stderr" == *"model 'letters': no such file or folder"*"($work/hub/models--letters/refs/v1); 'hf download letters --revision v1' fetches it"* ]]
    mkdir -p models/letters # a model that is installed comes first, even if it is broken
    run -66 medrat-tokenize -m letters text.jsonl
}

@test "what the Hugging Face cache lacks is told with the path and how to get it" {
    commit=0123456789abcdef0123456789abcdef01234567
    export HF_HUB_CACHE=$work/hub
    run -66 --separate-stderr medrat-tokenize -m org/letters text.jsonl
    [ "$stderr" = "medrat-tokenize: model 'org/letters': no such file or folder, and the Hugging Face cache does not have it ($work/hub/models--org--letters); 'hf download org/letters' fetches it, medrat does not" ]
    make_hub "$work/hub" $commit
    run -66 --separate-stderr medrat-tokenize -m org/letters@v1 text.jsonl
    [[ "$stderr" == *"($work/hub/models--org--letters/refs/v1); 'hf download org/letters --revision v1' fetches it"* ]]
    for ref in "" .. ../../x "$(printf 'x%.0s' {1..41})"; do
        printf %s "$ref" >hub/models--org--letters/refs/main
        run -66 --separate-stderr medrat-tokenize -m org/letters text.jsonl
        [[ "$stderr" == *"/refs/main); 'hf download org/letters' fetches it"* ]]
    done
    printf 'fedcba98\n' >hub/models--org--letters/refs/main
    run -66 --separate-stderr medrat-tokenize -m org/letters text.jsonl
    [[ "$stderr" == *"($work/hub/models--org--letters/snapshots/fedcba98); "* ]]
    # no names of models: paths
    for name in org/../x ../letters org/letters/x org/.x org/-x /org/x org/ org/x@ org/x@../y org/x@a//b; do
        run -66 --separate-stderr medrat-tokenize -m "$name" text.jsonl
        [[ "$stderr" == *"model '$name': no such file or folder" ]]
    done
}

@test "the demo model is announced, can be silenced and forbidden" {
    export MEDRAT_MODELS=$work/first
    mkdir -p first/smollm2
    cp vocab.txt first/smollm2
    run -0 --separate-stderr medrat-tokenize text.jsonl
    [[ "$stderr" == *"smollm2"*"not for medical use"* && "${#stderr_lines[@]}" -eq 1 ]]
    run -0 --separate-stderr medrat-tokenize -q text.jsonl
    [ "$stderr" = "" ]
    MEDRAT_NO_DEFAULT=1 run -64 --separate-stderr medrat-tokenize -q text.jsonl
    [[ "$stderr" == *MEDRAT_NO_DEFAULT* ]]
    MEDRAT_NO_DEFAULT=1 run -0 --separate-stderr medrat-tokenize -q -m vocab.txt text.jsonl
}

@test "quiet and verbose exclude each other, unless one is nearer" {
    run -64 --separate-stderr medrat-tokenize -qv -m vocab.txt text.jsonl
    [[ "$stderr" == *"'--quiet' and '--verbose' exclude each other"* ]]
    MEDRAT_QUIET=1 run -0 --separate-stderr medrat-tokenize -v -m vocab.txt text.jsonl
    [ "$stderr" != "" ]
    MEDRAT_VERBOSE=1 run -0 --separate-stderr medrat-tokenize -q -m vocab.txt text.jsonl
    [ "$stderr" = "" ]
}

@test "as many threads as the affinity mask has cores, unless told otherwise" {
    need_models
    need_command taskset
    echo '{"text":"Gout is painful."}' >short.jsonl
    run -0 --separate-stderr taskset -c 0 medrat-score -q --stats stats.json short.jsonl
    [ "$(jq .threads stats.json)" = 1 ]
    run -0 --separate-stderr taskset -c 0 medrat-score -v short.jsonl
    [[ "$stderr" == *"1 thread"* ]]
    run -0 --separate-stderr medrat-score -q --threads 3 --stats stats.json short.jsonl
    [ "$(jq .threads stats.json)" = 3 ]
}
