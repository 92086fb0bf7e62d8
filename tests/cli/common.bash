# For every .bats file: the tools on the path, and what tests may ask for.
# tests/run.sh sets the environment; by hand, the release build is taken.

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
export MEDRAT_BUILD=${MEDRAT_BUILD:-$root/build/release}
export MEDRAT_BIN=${MEDRAT_BIN:-$MEDRAT_BUILD/bin}
export MEDRAT_MODELS=${MEDRAT_MODELS:-$root/models}
export MEDRAT_DATA=${MEDRAT_DATA:-$root/../shared/data}
export PATH="$MEDRAT_BIN:$PATH"

# A test that cannot run here is skipped; where nothing may be missing, it fails.
need() { # need REASON COMMAND...
    local reason=$1
    shift
    "$@" && return
    if [ "${MEDRAT_STRICT:-0}" = 1 ]; then
        echo "needed: $reason" >&2
        return 1
    fi
    skip "$reason"
}

need_models() {
    # Under a sanitizer they would take minutes; the small generated models show the same faults.
    [ "${MEDRAT_BUILD_CONFIG:-release}" = release ] || skip "real models on the release build only"
    need "the demo models (make models)" test -e "$MEDRAT_MODELS/smollm2" -a -e "$MEDRAT_MODELS/minilm"
}

need_data() {
    need "the shared data" test -d "$MEDRAT_DATA"
}

need_command() {
    need "the program $1" command -v "$1" >/dev/null
}

# A WordPiece vocabulary that knows single letters, for tests that need a tokenizer and no model.
make_vocab() { # make_vocab FILE
    {
        printf '%s\n' '[PAD]' '[UNK]' '[CLS]' '[SEP]' '[MASK]'
        printf '%s\n' {a..z} {0..9} '##'{a..z} '##'{0..9}
    } >"$1"
}

# The small models of tests/golden/tiny.h, in FOLDER.
make_tiny() { # make_tiny FOLDER
    mkdir -p "$1"
    "$MEDRAT_BUILD/tests/golden/make_tiny" "$1"
}

# Questions with passages that every tool takes with a model of make_tiny and --method bm25, line 31 broken.
make_questions() { # make_questions N
    local i
    for ((i = 1; i <= $1; i++)); do
        printf '{"id":%d,"query":"question %d","passages":["aspirin %d","ibuprofen"],"tokens":[1,%d,5,3]}\n' \
            $i $i $i $((i % 60 + 1))
        [ $i -ne 30 ] || echo '{"broken":'
    done
}

# Of the tools, for such records: slow enough to be interrupted.
set_questions_options() { # set_questions_options MODEL
    export MEDRAT_MODEL=$1 MEDRAT_METHOD=bm25 MEDRAT_MAX_TOKENS=40 MEDRAT_TEMPERATURE=1 MEDRAT_BATCH=1 \
        MEDRAT_THREADS=1 MEDRAT_CHECKPOINT_EVERY=1
}

# The same bytes for every batch size, thread count and order of input; $work/alone keeps them.
check_one_result() { # check_one_result IN COMMAND...
    local in=$1 batch
    shift
    "$@" --batch 1 --threads 1 "$in" >"$work/alone"
    for batch in 3 8; do
        "$@" --batch $batch --threads 2 "$in" | cmp - "$work/alone"
    done
    "$@" --batch 8 --threads 1 "$in" | cmp - "$work/alone"
    "$@" --batch 1 --threads 2 "$in" | cmp - "$work/alone"
    tac "$in" >"$work/backwards"
    "$@" --batch 5 --threads 2 "$work/backwards" | tac | cmp - "$work/alone"
}

# Waits for a condition, 10 seconds at most.
until_true() {
    local tries=0
    until "$@"; do
        [ $((tries += 1)) -le 500 ] || return 1
        sleep 0.02
    done
}

# The number of lines of a file, which may not be there yet.
n_lines() {
    if [ -e "$1" ]; then wc -l <"$1"; else echo 0; fi
}

has_lines() { # has_lines FILE N
    [ "$(n_lines "$1")" -ge "$2" ]
}

# A folder as Hugging Face's tools keep it in their cache: large files are blobs called by their
# SHA-256, small ones by git's hash, and a snapshot is links to them. Prints the snapshot's folder.
make_snapshot() { # make_snapshot CACHE ORG/NAME FOLDER
    local top=$1/models--${2/\//--} commit=0123456789abcdef0123456789abcdef01234567 file blob
    mkdir -p "$top/blobs" "$top/refs" "$top/snapshots/$commit"
    printf %s "$commit" >"$top/refs/main"
    for file in "$3"/*; do
        case $file in
        *.safetensors | *.model | */tokenizer.json) blob=$(sha256sum "$file" | cut -d ' ' -f 1) ;;
        *) blob=$(git hash-object "$file") ;;
        esac
        cp "$file" "$top/blobs/$blob"
        ln -sf "../../blobs/$blob" "$top/snapshots/$commit/${file##*/}"
    done
    echo "$top/snapshots/$commit"
}
