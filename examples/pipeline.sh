#!/bin/sh
# Questions with passages -> evidence: the whole pipeline.
#
#     examples/pipeline.sh [QUESTIONS [EVIDENCE]]
#
# QUESTIONS has one JSON object a line: {"id":"q1","query":"...","passages":[{"id":"a.0","text":"..."}]}
# (gzip is fine). EVIDENCE gets the same lines with rationales, evidence and selection added;
# examples/show EVIDENCE is for reading them.
set -eu
questions=${1:-examples/questions.jsonl}
evidence=${2:-evidence.jsonl}

# Where the tools are: MEDRAT_BIN, else the PATH.
PATH=${MEDRAT_BIN:+$MEDRAT_BIN:}$PATH

# medrat-gen writes what a correct passage must contain, medrat-rerank chooses by it.
#
# -o         the file appears only when it is complete: a run that died leaves no half of it
# --expect   as many records as there are questions must arrive, else exit 65 and no file. A shell
#            sees the exit status of the last command alone; this notices when the first one dies.
#
# Exit 1 means: complete, but some records failed; each failed one is an error record in its place.
medrat-gen "$questions" | medrat-rerank -o "$evidence" --expect "$questions"
