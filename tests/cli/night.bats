#!/usr/bin/env bats
# The examples that run by themselves: a night's work, its crontab, its systemd units.

bats_require_minimum_version 1.5.0

load common

setup_file() {
    cd "$BATS_FILE_TMPDIR"
    make_tiny tiny
    make_questions 400 >questions.jsonl
}

setup() {
    work=$BATS_TEST_TMPDIR
    set_questions_options "$BATS_FILE_TMPDIR/tiny/llama-3"
    mkdir "$work/night" "$work/whole"
    cp "$BATS_FILE_TMPDIR/questions.jsonl" "$work/night"
}

# What two runs that nothing happens to make of the questions.
whole() {
    medrat-gen -q -o "$work/whole/rationales.jsonl" --max-errors 1% "$work/night/questions.jsonl"
    medrat-rerank -q -o "$work/whole/evidence.jsonl" --max-errors 1% "$work/whole/rationales.jsonl"
}

is_whole() {
    cmp "$work/night/rationales.jsonl" "$work/whole/rationales.jsonl"
    cmp "$work/night/evidence.jsonl" "$work/whole/evidence.jsonl"
    [ "$(find "$work/night" -name '*.part' -o -name '*.state')" = "" ]
}

begun() { # begun STAGE: some records are written down
    grep -q '"lines":[1-9]' "$work/night/$1.jsonl.state" 2>/dev/null
}

ends_with() { # ends_with STATUS PID
    local status=0
    wait "$2" || status=$?
    [ "$status" -eq "$1" ]
}

@test "a night is silent, puts bad lines aside, and leaves alone what is done" {
    whole
    run -0 "$root/examples/night" "$work/night"
    [ "$output" = "" ]
    is_whole
    [ "$(wc -l <"$work/night/bad-questions.jsonl")" -eq 1 ]
    touch "$work/before"
    run -0 "$root/examples/night" "$work/night"
    [ "$(find "$work/night" -newer "$work/before" -type f)" = "" ]
    head -n 20 "$BATS_FILE_TMPDIR/questions.jsonl" >"$work/night/questions.jsonl"
    run -0 "$root/examples/night" "$work/night"
    [ "$(wc -l <"$work/night/evidence.jsonl")" -eq 20 ]
}

@test "a night that is stopped, and one that is killed, goes on" {
    whole
    "$root/examples/night" "$work/night" 3>&- &
    until_true begun rationales
    kill -TERM "$(pgrep -P $!)" # the tool that the script waits for
    ends_with 75 $!
    [ ! -e "$work/night/rationales.jsonl" ]

    "$root/examples/night" "$work/night" 3>&- &
    until_true begun evidence
    tool=$(pgrep -P $!)
    kill -KILL $! "$tool"
    ends_with 137 $!
    until_true sh -c "! kill -0 $tool 2>/dev/null"
    [ ! -e "$work/night/evidence.jsonl" ]

    run -0 "$root/examples/night" "$work/night"
    is_whole
}

@test "what comes in place of a whole first stage ends the second without a file" {
    whole
    head -n 200 "$work/whole/rationales.jsonl" >"$work/night/rationales.jsonl" # cut at a line border
    run -65 "$root/examples/night" "$work/night"
    [[ "$output" == *"expected 401 records, but 200 came"* ]]
    [ ! -e "$work/night/evidence.jsonl" ]
}

# The crontab's commands, as cron hands them to its shell.
cron_commands() {
    sed -E -e '/^(#|$)/d' -e '/^[A-Z_]+=/d' -e 's/^(@reboot|([0-9*,/-]+ ){5})//' -e 's/\\%/%/g' \
        "$root/examples/crontab"
}

# Its environment, with the paths of this test.
cron() { # cron COMMAND
    env -i HOME="$work" LOGNAME=nobody SHELL=/bin/sh PATH="$MEDRAT_BIN:/usr/bin:/bin" \
        NIGHT="$work/night" RUN="$root/examples/night" $(env | grep '^MEDRAT_') \
        /bin/sh -c "$1" </dev/null
}

@test "cron: of two runs at once the second leaves quietly with 75" {
    whole
    [ "$(cron_commands | wc -l)" -ge 2 ]
    while read -r command; do
        rm -f "$work"/night/*.jsonl*
        cp "$BATS_FILE_TMPDIR/questions.jsonl" "$work/night"
        cron "$command" 3>&- &
        until_true begun rationales
        run -75 cron "$command"
        [ "$output" = "" ]
        wait $!
        is_whole
    done < <(cron_commands)
}

@test "the crontab sets what its commands use, and each has a time" {
    for name in $(cron_commands | grep -o '\$[A-Z_]*' | tr -d '$' | sort -u); do
        grep -q "^$name=" "$root/examples/crontab"
    done
    run ! grep -vE '^(#|$|[A-Z_]+=|@reboot |([0-9*,/-]+ ){5}[^ ])' "$root/examples/crontab"
}

# The units with a program that is there, since what they name is installed by hand.
units() {
    cp "$root"/examples/systemd/medrat-night@.timer "$work"
    sed "s,/usr/local/bin/medrat-night,$root/examples/night," \
        "$root/examples/systemd/medrat-night@.service" >"$work/medrat-night@.service"
}

@test "systemd takes the units, and finds the service shut in" {
    need_command systemd-analyze
    units
    run -0 systemd-analyze verify --man=no "$work/medrat-night@corpus.service" "$work/medrat-night@corpus.timer"
    [ "$output" = "" ]
    # of 100, ten times its exposure level
    run -0 systemd-analyze security --no-pager --offline=yes --threshold=10 "$work/medrat-night@corpus.service"
    sed -i '/^\(PrivateNetwork\|CapabilityBoundingSet\|SystemCallFilter\|RestrictAddressFamilies\)/d' "$work/medrat-night@.service"
    run ! systemd-analyze security --no-pager --offline=yes --threshold=10 "$work/medrat-night@corpus.service"
}

@test "systemd runs the service again after 75, and a broken line of a unit is seen" {
    need_command systemd-analyze
    units
    grep -q '^RestartForceExitStatus=75$' "$work/medrat-night@.service"
    sed -i 's/^PrivateNetwork=yes/PrivateNetwrk=yes/' "$work/medrat-night@.service"
    run systemd-analyze verify --man=no "$work/medrat-night@corpus.service"
    [[ "$output" == *PrivateNetwrk* ]]
}
