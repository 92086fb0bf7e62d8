#!/bin/sh
# Who may include whom: the table, and the check. Layers include downwards only.
# Prints each breach; exits 1 if there is one.
set -u
cd "$(dirname "$0")/.." || exit 1

allowed() { # the layers that this layer may include, itself aside
    case $1 in
    base) ;;
    formats) echo base ;;
    compute) echo base ;;
    cpu) echo base compute ;;
    text) echo base formats ;;
    model) echo base formats text compute ;;
    run) echo base formats text compute model ;;
    rank) echo base formats text compute model ;;
    train) echo base formats text compute model run ;;
    cli) echo base formats ;;
    bin | tests) echo base formats compute text model run rank train cli ;;
    *) echo "unknown layer $1" >&2 && exit 1 ;;
    esac
}

breaches=0
for file in $(find formats lib bin tests -name '*.[ch]' | sort); do
    case $file in
    lib/*) layer=${file#lib/} && layer=${layer%%/*} ;;
    *) layer=${file%%/*} ;;
    esac
    for included in $(sed -n 's/^#include "\([a-z_]*\)\/.*/\1/p' "$file" | sort -u); do
        case " $layer $(allowed "$layer") " in
        *" $included "*) ;;
        *)
            # the op tests and benches compare the kernel sets themselves
            case $file:$included in
            tests/op/*:cpu | tests/bench/*:cpu | tests/unit/cpu_*:cpu) continue ;;
            esac
            echo "$file: layer '$layer' may not include '$included'"
            breaches=$((breaches + 1))
            ;;
        esac
    done
done
[ "$breaches" -eq 0 ]
