#!/usr/bin/env bats
# What make install puts in place works from there, without the source tree.

bats_require_minimum_version 1.5.0

load cli/common

setup() {
    cd "$BATS_TEST_DIRNAME/.."
    work=$BATS_TEST_TMPDIR
}

@test "installed tools find their recipes beside them, and uninstall leaves nothing" {
    need_models
    run -0 make --no-print-directory install DESTDIR="$work/root" PREFIX=/opt/medrat
    installed=$work/root/opt/medrat
    for name in medrat-tokenize medrat-gen medrat-score medrat-rerank medrat-train; do
        [ -x "$installed/bin/$name" ]
        [ -s "$installed/share/man/man1/$name.1" ]
        grep -q "complete -F" "$installed/share/bash-completion/completions/$name"
    done
    mkdir "$work/elsewhere"
    cd "$work/elsewhere"
    echo 'prompt: "nothing like the shipped one {query}"' >"$installed/share/medrat/recipes/raw.yaml"
    run -0 --separate-stderr "$installed/bin/medrat-gen" -q --recipe raw --max-tokens 1 --query gout
    [ "$(echo "$output" | jq .generation.prompt_tokens)" -ge 6 ] # the installed recipe, not the tree's
    run -0 "$installed/bin/medrat-gen" -q --max-tokens 1 --query gout --stats "$work/stats"
    [[ "$(jq -r '.adapters[0].weights' "$work/stats")" == "$installed"/* ]]
    cd "$BATS_TEST_DIRNAME/.."
    run -0 make --no-print-directory uninstall DESTDIR="$work/root" PREFIX=/opt/medrat
    [ "$(find "$work/root" -type f)" = "" ]
}
