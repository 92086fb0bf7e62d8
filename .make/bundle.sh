#!/bin/sh
# bundle.sh STAGE TAR MODEL...: of what `make install` put into STAGE/medrat makes one tar that works
# after `tar x`, with examples, licences and the demo models MODEL... (of $MEDRAT_MODELS, or models/);
# says what it needs of a system.
set -eu
stage=$1
tar=$2
shift 2
top=$stage/medrat
share=$top/share/medrat

strip "$top"/bin/*
for model in "$@"; do
    mkdir -p "$share/models"
    cp -RL "${MEDRAT_MODELS:-models}/$model" "$share/models"
    cp /usr/share/common-licenses/Apache-2.0 "$share/models/LICENSE" # of both demo models
done
cp LICENSE README.md "$top"
mkdir -p "$top/share/doc/medrat"
for name in libjansson libyaml libpcre2 libutf8proc zlib1g; do # are linked in
    cp "/usr/share/doc/$name-dev/copyright" "$top/share/doc/medrat/copyright-$name"
done
cp -R examples "$top"
for adapter in "$share"/adapters/*; do # once is enough
    rm -r "$top/examples/adapters/${adapter##*/}"
    ln -s "../../share/medrat/adapters/${adapter##*/}" "$top/examples/adapters"
done

oldest=$(objdump -T "$top"/bin/* | grep -o 'GLIBC_[0-9.]*' | sort -Vu | tail -n 1)
libraries=$(objdump -p "$top"/bin/* | sed -n 's/^ *NEEDED *//p' | sort -u | xargs)
needs="$(uname -m), glibc ${oldest#GLIBC_} or newer ($libraries), nothing else"
cat >"$top/BUNDLE" <<END
This medrat needs $needs.
Nothing is to be installed, and nothing is fetched:

    export PATH="\$PWD/medrat/bin:\$PATH"
    medrat-gen --query 'Does vitamin D prevent falls in older adults?'
    man -l medrat/share/man/man1/medrat-gen.1

Where README.md speaks of make and of build/, the source tree is meant.
END

# The same tree, the same bytes.
mkdir -p "$(dirname "$tar")"
tar --sort=name --mtime=@0 --owner=0 --group=0 --numeric-owner --mode=u+w,go-w,a+rX \
    -C "$stage" -cf "$tar.new" medrat
mv "$tar.new" "$tar"
echo "$tar: $(stat -c %s "$tar") bytes; needs $needs"
