#!/bin/sh
# The model card's evaluation: base and adapter over DATA, a JSONL file of its texts, and what came
# out beside what the card says (card.json). Keeps scores and summary in OUT.
#
#     card.sh MODEL ADAPTER DATA [OUT]
#
# MEDRAT_BIN says where medrat-score is, else it is looked for on the path. Needs jq.
set -eu
[ $# -ge 3 ] && [ -n "$1" ] && [ -n "$2" ] && [ -n "$3" ] || {
    echo "usage: make card MODEL=ORG/NAME|DIR ADAPTER=DIR DATA=FILE.jsonl" >&2
    exit 64
}
command -v jq >/dev/null || { echo "make card: jq is not installed" >&2; exit 127; }
here=$(dirname "$0")
model=$1 adapter=$2 data=$3 out=${4:-build/card}
PATH=${MEDRAT_BIN:+$MEDRAT_BIN:}$PATH
[ -r "$data" ] || { echo "make card: $data: cannot be read" >&2; exit 66; }
mkdir -p "$out"

# A record without a text is scored by its query, as the card's script does.
rm -f "$out/summary.json"
status=0
jq -c 'if (.text // "") == "" and (.query // "") != "" then .text = .query else . end' "$data" |
    medrat-score -v -m "$model" --adapter "$adapter" --compare --max-length 1024 \
        --summary "$out/summary.json" -o "$out/scores.jsonl" || status=$?
if [ "$status" -gt 1 ] || [ ! -s "$out/summary.json" ]; then
    exit "$status"
fi

jq -rn --slurpfile card "$here/card.json" --slurpfile measured "$out/summary.json" '
def significant($n): # $n digits that count, without an exponent
    if . == null then "-"
    elif . == 0 then "0"
    else (fabs | log10 | floor) as $e
        | (if $n - 1 - $e > 0 then pow(10; $n - 1 - $e) else 1 end) as $p
        | (. * $p | round) / $p | tostring
    end;
def right($n): " " * ($n - length | if . > 0 then . else 0 end) + .;
def left($n): . + " " * ($n - length | if . > 0 then . else 0 end);
def row($name; $a; $b): "  " + ($name | left(36)) + ($a | significant(7) | right(14)) + ($b | significant(7) | right(14));
def head($name; $a; $b): ($name | left(38)) + ($a | right(14)) + ($b | right(14));
def rows($c; $m; $path; $names): $names[] | . as [$name, $key]
    | row($name; $c | getpath($path + [$key]); $m | getpath($path + [$key]));
def percent: . * 100;

$card[0] as $c | $measured[0] as $m | $m.medrat as $x
| [["perplexity", "perplexity"], ["average loss", "average_loss"], ["deviation of losses", "loss_std"],
   ["samples a second", "samples_per_second"]] as $names
| head(""; "the card"; "measured"),
  row("texts"; $c.evaluation_parameters.num_samples_evaluated; $m.evaluation_parameters.num_samples_evaluated),
  "base", rows($c; $m; ["baseline_model"]; $names),
  "with the adapter", rows($c; $m; ["fine_tuned_model"]; $names),
  "improvement, %",
  rows($c; $m; ["comparison"]; [["perplexity", "perplexity_improvement_percent"], ["average loss", "loss_improvement_percent"]]),
  row("speed"; $c.comparison.relative_speed - 1 | percent;
      $m.comparison.relative_speed | if . == null then . else . - 1 | percent end),
  "",
  head("what the card leaves out"; "base"; "with adapter"),
  row("perplexity of a token"; $x.baseline_model.token_perplexity; $x.fine_tuned_model.token_perplexity),
  ($x.tokens.regions | to_entries[]
   | row("  \(.key), \(.value.share | percent | significant(3)) % of the tokens";
         $x.baseline_model.regions[.key].token_perplexity; $x.fine_tuned_model.regions[.key].token_perplexity)),
  row("bits a byte"; $x.baseline_model.bits_per_byte; $x.fine_tuned_model.bits_per_byte),
  ($x.comparison
   | "  improvement of the perplexity, 95 % interval: "
     + (.perplexity.improvement_percent_interval // [null, null] | map(significant(5)) | join(" to ")) + " %",
     "  texts improved: \(.improved) of \($x.records.scored), worse: \(.worse)",
     (if .worst_regressions == [] then empty
      else "  worst: " + (.worst_regressions[:5] | map("\(.id // .key) (+\(.difference | significant(3)) nats)") | join(", ")) end)),
  "  left out: \($x.records.failed) failed, \($x.records.skipped) without a loss; cut: \($x.records.truncated)",
  "",
  "model \($x.options.model), adapter \($x.options.adapters), kernels \($x.options.kernels)",
  (if $m.evaluation_parameters.num_samples_evaluated != $c.evaluation_parameters.num_samples_evaluated
   then "These are not the texts of the card, whose figures are of others." else empty end)
'
echo "records: $out/scores.jsonl, all figures: $out/summary.json"
exit "$status"
