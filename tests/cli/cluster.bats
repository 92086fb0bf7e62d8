#!/usr/bin/env bats
# The examples for many machines, with the real engines: Slurm's daemons and sshd on loopback, GNU
# parallel.
# A task is stopped on its way; the result is that of a single run, byte for byte.

bats_require_minimum_version 1.5.0

load common

setup_file() {
    cd "$BATS_FILE_TMPDIR"
    make_tiny tiny
    for ((i = 1; i <= 900; i++)); do
        printf '{"id":%d,"tokens":[1,%d,5,%d,3]}\n' $i $((i % 60 + 1)) $((i % 9 + 1))
        [ $((i % 200)) -ne 3 ] || echo '{"broken":'
    done >in.jsonl
}

setup() {
    cd "$BATS_FILE_TMPDIR"
    work=$BATS_TEST_TMPDIR
    # what the examples choose
    grep -qw avx2 /proc/cpuinfo || export MEDRAT_KERNELS=scalar
    gen=(medrat-gen -m "$PWD/tiny/llama-3" --temperature 1 --max-tokens 60 --batch 1)
}

teardown() {
    [ -z "${daemons:-}" ] || kill -KILL $daemons 2>/dev/null || true
}

whole() {
    MEDRAT_KERNELS=${MEDRAT_KERNELS-avx2-madd} "${gen[@]}" -q -o "$work/whole" in.jsonl || [ $? -eq 1 ]
}

slurm() { # slurm: a controller and two nodes on this machine
    local name d=$work/slurm node
    name=$(hostname -s)
    mkdir -p "$d/state"
    {
        printf '%s\n' "ClusterName=ci" "SlurmctldHost=$name(127.0.0.1)" SlurmUser=root SlurmdUser=root \
            AuthType=auth/none CredType=cred/none ProctrackType=proctrack/linuxproc TaskPlugin=task/none \
            SwitchType=switch/none SelectType=select/cons_tres SelectTypeParameters=CR_CPU \
            JobAcctGatherType=jobacct_gather/none AccountingStorageType=accounting_storage/none \
            SlurmctldPort=16817 "StateSaveLocation=$d/state" "SlurmdSpoolDir=$d/spool-%n" \
            "SlurmdPidFile=$d/%n.pid" "SlurmctldPidFile=$d/ctld.pid" "SlurmctldLogFile=$d/ctld.log" \
            "SlurmdLogFile=$d/%n.log" MpiDefault=none ReturnToService=2 RequeueExit=75 \
            SchedulerParameters=bf_interval=1,sched_interval=1
        for node in 1 2; do
            echo "NodeName=n$node NodeHostname=$name NodeAddr=127.0.0.1 Port=1700$node CPUs=1 RealMemory=500"
        done
        echo "PartitionName=batch Nodes=n1,n2 Default=YES MaxTime=INFINITE State=UP"
    } >"$d/slurm.conf"
    export SLURM_CONF=$d/slurm.conf
    slurmctld -D -c >/dev/null 2>&1 3>&- &
    daemons=$!
    for node in n1 n2; do
        slurmd -D -N $node >/dev/null 2>&1 3>&- &
        daemons="$daemons $!"
    done
    until_true sh -c '[ "$(sinfo -h -o %T 2>/dev/null)" = idle ]'
}

# Two names for this machine, reached through a server of this test's own, as this user.
ssh_nodes() {
    local d=$work/ssh port
    mkdir "$d"
    ssh-keygen -q -t ed25519 -N '' -f "$d/host"
    ssh-keygen -q -t ed25519 -N '' -f "$d/user"
    for port in {20022..20099}; do # the first that nobody answers at
        (: <>"/dev/tcp/127.0.0.1/$port") 2>/dev/null || break
    done
    printf '%s\n' "ListenAddress 127.0.0.1:$port" "HostKey $d/host" "AuthorizedKeysFile $d/user.pub" \
        'StrictModes no' 'PidFile none' 'PasswordAuthentication no' 'KbdInteractiveAuthentication no' \
        "SetEnv PATH=$PATH" >"$d/sshd_config"
    printf '%s\n' 'Host node1 node2' 'HostName 127.0.0.1' "Port $port" "User $(id -un)" \
        "IdentityFile $d/user" 'IdentitiesOnly yes' 'BatchMode yes' 'LogLevel ERROR' \
        "UserKnownHostsFile $d/known" 'StrictHostKeyChecking accept-new' >"$d/config"
    # root's server wants a /run/sshd, which it gets in a /run of its own
    if [ "$(id -u)" -eq 0 ]; then
        unshare --mount sh -c 'mount -t tmpfs none /run && mkdir /run/sshd && exec /usr/sbin/sshd -D -f "$1"' \
            sh "$d/sshd_config" 2>"$d/log" 3>&- &
    else
        /usr/sbin/sshd -D -f "$d/sshd_config" 2>"$d/log" 3>&- &
    fi
    daemons=$!
    export PARALLEL_SSH="ssh -F $d/config"
    until_true $PARALLEL_SSH node1 true 2>/dev/null
}

@test "GNU parallel: parts on this machine, one of them stopped" {
    need_command parallel
    whole
    export PARALLEL_HOME=$work/home
    mkdir -p "$PARALLEL_HOME" && touch "$PARALLEL_HOME/will-cite"
    "$root/examples/parallel" 5 in.jsonl "$work/out" "${gen[@]}" --checkpoint-every 1 3>&- &
    until_true sh -c "grep -q '\"lines\":[1-9]' '$work'/out.part-*.state 2>/dev/null"
    pkill -TERM -f "$work/out.part-[1-5] in.jsonl" || true
    wait $!
    cmp "$work/out" "$work/whole"
    [ "$(find "$work" -name 'out.*')" = "" ]
}

@test "GNU parallel by ssh: parts on two nodes, one of them killed" {
    need_command parallel
    need "openssh-server" test -x /usr/sbin/sshd
    [ "$(id -u)" -ne 0 ] || unshare --mount true || skip "root's sshd wants a /run of its own"
    whole
    ssh_nodes
    export PARALLEL_HOME=$work/home PARALLEL="-S 1/node1,1/node2 --workdir $PWD --joblog $work/jobs"
    mkdir -p "$PARALLEL_HOME" && touch "$PARALLEL_HOME/will-cite"
    "$root/examples/parallel" 5 in.jsonl "$work/out" "${gen[@]}" --checkpoint-every 1 3>&- &
    until_true sh -c "grep -qs '\"lines\":[1-9]' '$work'/out.part-[12].state"
    tool=$(pgrep -x medrat-gen | while read -r pid; do
        tr '\0' ' ' <"/proc/$pid/cmdline" | grep -q "$work/out.part-" && echo "$pid"; done | head -n 1)
    kill -KILL "$tool"
    wait $!
    cmp "$work/out" "$work/whole"
    [ "$(find "$work" -name 'out.*')" = "" ]
    # both nodes were at work
    [ "$(tail -n +2 "$work/jobs" | cut -f 2 | sort -u | xargs)" = "node1 node2" ]
}

@test "Slurm: an array on two nodes, one task stopped and run again by exit 75" {
    need_command slurmctld
    need_command slurmd
    [ "$(id -u)" -eq 0 ] || skip "slurmd wants to be root"
    whole
    slurm
    job=$(sbatch --parsable --array=1-4 --output "$work/log.%a" --export=ALL \
        "$root/examples/array.sbatch" "$PWD/in.jsonl" "$work/parts" "${gen[@]}" --checkpoint-every 1)
    until_true sh -c "grep -q '\"lines\":[1-9]' '$work'/parts/1.state 2>/dev/null"
    tool=$(pgrep -f -- "--output $work/parts/1 ")
    kill -STOP "$tool" # so that it does not end before Slurm's signal has come
    until_true scancel --quiet --batch --signal=TERM "${job}_1"
    kill -CONT "$tool"
    until_true sh -c "squeue -h -r -o '%K %R' | grep -q '^1 .*BeginTime'"
    [ ! -e "$work/parts/1" ]
    scontrol update "JobId=${job}_1" StartTime=now
    until_true sh -c '[ -z "$(squeue -h)" ]'
    cat "$work"/parts/[1-4] | cmp - "$work/whole"
    [ "$(find "$work/parts" -name '*.*')" = "" ]
}
