#!/bin/sh
# make fuzz: run.sh SECONDS TARGET...: each target for so long, with sanitizers, from its committed
# corpus and what earlier runs have found (build/fuzz/corpus). What was done goes into the ledger,
# tests/fuzz/ledger.jsonl: seconds, executions, edges of the code that were reached, and for how many
# seconds at the end no new one was. Exits 1 where an input made a target fail: it lies in build/fuzz.
set -u
cd "$(dirname "$0")/../.."
seconds=$1
shift
commit=$(git rev-parse --short=10 HEAD 2>/dev/null || echo unknown)
failed=0
for target; do
    mkdir -p "build/fuzz/corpus/$target"
    "build/fuzz/tests/fuzz/${target}_fuzz" -max_total_time="$seconds" -timeout=10 -print_final_stats=1 \
        -artifact_prefix="build/fuzz/$target-" "build/fuzz/corpus/$target" "tests/fuzz/corpus/$target" 2>&1 |
        tee "build/fuzz/$target.log" |
        awk -v target="$target" -v commit="$commit" -v date="$(date -u +%F)" '
            BEGIN { begun = found = systime() }
            / cov: / {
                for (i = 1; i < NF; i++)
                    if ($i == "cov:" && $(i + 1) > edges) { edges = $(i + 1); found = systime() }
            }
            /^stat::number_of_executed_units:/ { runs = $2 }
            /^Done / { done = 1 }
            END {
                if (done)
                    printf "{\"date\":\"%s\",\"commit\":\"%s\",\"target\":\"%s\",\"seconds\":%d,\"executions\":%d,\"edges\":%d,\"quiet_seconds\":%d}\n",
                        date, commit, target, systime() - begun, runs, edges, systime() - found
                exit !done
            }' >>tests/fuzz/ledger.jsonl || {
        failed=1
        echo "$target failed: build/fuzz/$target.log, and try build/fuzz/tests/fuzz/${target}_fuzz build/fuzz/$target-*" >&2
    }
    tail -n 1 tests/fuzz/ledger.jsonl
done
exit $failed
