#!/bin/sh
# Compiles vip.bpf.c to vip.bpf.o, which is committed beside it, or to the file named. Needs clang (Debian 12's was used).
set -eu
out=$(realpath "${1:-$(dirname "$0")/vip.bpf.o}")
cd "$(dirname "$0")"
# No paths of this machine in the object.
exec clang -target bpf -mcpu=v3 -O2 -g -Wall -Wextra -Werror -ffile-prefix-map="$PWD"=. -fdebug-compilation-dir=. \
    -c vip.bpf.c -o "$out"
