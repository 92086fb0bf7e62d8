#!/usr/bin/env bats
# The house rules that a script can check: layers, headers, symbols, names, what lies where.

bats_require_minimum_version 1.5.0

setup() {
    cd "$BATS_TEST_DIRNAME/.."
}

@test "layers include downwards only" {
    run -0 tests/layers.sh
    [ "$output" = "" ]
}

@test "the layer check sees a breach" {
    tree=$BATS_TEST_TMPDIR/tree
    mkdir -p "$tree/tests" "$tree/lib/base" "$tree/lib/cpu" "$tree/formats" "$tree/bin"
    cp tests/layers.sh "$tree/tests"
    echo '#include "cpu/cpu_kernels.h"' >"$tree/lib/base/wrong.c"
    run -1 "$tree/tests/layers.sh"
    [ "$output" = "lib/base/wrong.c: layer 'base' may not include 'cpu'" ]
}

@test "every header compiles alone" {
    for header in $(find formats lib -name '*.h'); do
        gcc -std=c11 -D_POSIX_C_SOURCE=200809L -Wall -Wextra -Werror -Ilib -I. \
            -fsyntax-only -x c "$header" 2>"$BATS_TEST_TMPDIR/log" ||
            { echo "$header"; cat "$BATS_TEST_TMPDIR/log"; return 1; }
    done
}

@test "a symbol leads to its file" {
    # A word of the symbol begins as a word of the file's name does: scoring_write, scorer.c.
    bad=$(nm -A --defined-only "$MEDRAT_BUILD/libmedrat.a" |
        awk '$2 ~ /^[TDBRC]$/ && $3 !~ /^__/ {
            split($1, place, ":"); file = place[2]; sub(/\.o$/, "", file)
            n = split(file, words, "_"); found = 0
            for (i = 1; i <= n; i++)
                if (index("_" $3, "_" substr(words[i], 1, 4)))
                    found = 1
            if (!found)
                print file ".c: " $3
        }')
    echo "$bad"
    [ "$bad" = "" ]
}

@test "file names are unique and files stay small" {
    run -0 sh -c "find formats lib bin -name '*.[ch]' -printf '%f\n' | sort | uniq -d"
    [ "$output" = "" ]
    run -0 sh -c "find formats lib bin -name '*.[ch]' -exec wc -l {} + | awk '\$2 != \"total\" && \$1 > 600'"
    echo "$output"
    [ "$output" = "" ]
}

@test "the top level holds what it should and nothing else" {
    run -0 sh -c "git ls-files | sed 's,/.*,,' | sort -u | grep -v '^\.'"
    for name in "${lines[@]}"; do
        case $name in
        Makefile | bin | lib | gpu | formats | tests | examples | README.md | LICENSE) ;;
        *) echo "unexpected: $name" && return 1 ;;
        esac
    done
}

@test "no file of the tree is over 1 MiB, but the demo adapter of 4 MB at most" {
    adapter=examples/adapters/rationales-smollm2/adapter_model.safetensors
    run -0 sh -c "git ls-files -z | grep -vxzF $adapter | xargs -0 du -k | awk '\$1 > 1024'"
    [ "$output" = "" ]
    [ "$(stat -c %s "$adapter")" -le 4000000 ]
}

@test "no tool is linked to the network" {
    for tool in "$MEDRAT_BIN"/medrat-*; do
        [ -x "$tool" ] || continue
        run ! sh -c "nm -D --undefined-only '$tool' |
            grep -E ' (socket|socketpair|connect|bind|listen|accept4?|send(to|msg|mmsg)?|recv(from|msg|mmsg)?|getaddrinfo|gethostby.*|res_.*)(@|$)'"
    done
}

@test "tools are built to end where memory goes wrong" {
    for tool in "$MEDRAT_BIN"/medrat-*; do
        case $tool in *.*) continue ;; esac
        readelf -hW "$tool" | grep -q 'Type: *DYN' # at another address each time
        readelf -dW "$tool" | grep -q 'Flags: .*NOW'
        readelf -lW "$tool" | grep -q 'GNU_RELRO'
        readelf -lW "$tool" | grep -q 'GNU_STACK.* RW '
        nm -D --undefined-only "$tool" | grep -q '__stack_chk_fail'
        nm -D --undefined-only "$tool" | grep -q '__memcpy_chk'
    done
}
