#!/usr/bin/env bash
# The main job on one machine: a swarm of three hosts in network namespaces runs a replicated web service, is scaled,
# updated, loses a host and gets it back. Installs what it needs (as root, on Debian 12 or Ubuntu with Rust), takes down
# all it made, also on Ctrl-C.
set -euo pipefail
cd "$(dirname "$0")/.."

say() { printf '\n\033[1m== %s\033[0m\n' "$*"; }

[ "$(id -u)" = 0 ] || { echo "run it as root: hosts are network namespaces" >&2; exit 1; }
missing=()
for pair in cc:gcc cc:libc6-dev docker-registry:docker-registry ip:iproute2 curl:curl; do
    command -v "${pair%%:*}" >/dev/null || missing+=("${pair##*:}")
done
if [ ${#missing[@]} -gt 0 ]; then
    say "installing ${missing[*]}"
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
fi

say "building (some minutes the first time)"
cargo build --release --locked --bin shoald --bin shoal --bin shoal-runtime
bin=$PWD/target/release

tag=shoaldemo$$
work=$(mktemp -d "/tmp/$tag.XXXXXX")
pids=()
clean() {
    trap - EXIT
    trap '' INT TERM
    say "cleaning up"
    for host in 1 2 3; do
        [ -S "$work/$host.sock" ] && timeout 15 "$bin/shoal" -H "unix://$work/$host.sock" swarm leave --force >/dev/null 2>&1
    done
    for pid in "${pids[@]}"; do kill "$pid" 2>/dev/null; done
    for pid in "${pids[@]}"; do wait "$pid" 2>/dev/null; done
    # Keepers and containers outlive their daemon: all of them are in cgroups of this run.
    for _ in 1 2 3 4 5; do
        find /sys/fs/cgroup -path "*/$tag/*" -name cgroup.procs -exec cat {} + 2>/dev/null | sort -u | xargs -r kill -KILL 2>/dev/null
        find /sys/fs/cgroup -depth -type d \( -path "*/$tag/*" -o -name "$tag" \) -exec rmdir {} + 2>/dev/null
        [ -n "$(find /sys/fs/cgroup -type d -name "$tag")" ] || break
        sleep 0.2
    done
    awk -v below="$work" 'index($5, below) == 1 { print $5 }' /proc/self/mountinfo | sort -r | xargs -r -n1 umount -l 2>/dev/null
    for space in 1 2 3 registry switch; do ip netns del "$tag-$space" 2>/dev/null; done
    rm -rf "$work"
}
trap 'clean || true' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

say "three hosts and a registry, joined by a bridge"
ip netns add "$tag-switch"
ip -n "$tag-switch" link add br0 type bridge
ip -n "$tag-switch" link set br0 up
number=0
for space in 1 2 3 registry; do
    number=$((number + 1))
    ip netns add "$tag-$space"
    ip -n "$tag-switch" link add "port$number" type veth peer name eth0 netns "$tag-$space"
    ip -n "$tag-switch" link set "port$number" master br0 up
    ip -n "$tag-$space" link set lo up
    ip -n "$tag-$space" addr add "10.98.0.$number/24" dev eth0
    ip -n "$tag-$space" link set eth0 up
done
registry=10.98.0.4:5000
inside() { nsenter --net="/run/netns/$tag-$1" -- "${@:2}"; }
# Starts a daemon on a host, out of reach of the terminal's Ctrl-C: it ends when we say so.
daemon() {
    (exec setsid nsenter --net="/run/netns/$tag-$1" -- "${@:2}") &
    pids+=($!)
}

cat >"$work/registry.yml" <<YAML
version: 0.1
storage: {filesystem: {rootdirectory: $work/registry}}
http: {addr: "$registry"}
YAML
daemon registry docker-registry serve "$work/registry.yml" >"$work/registry.log" 2>&1
for host in 1 2 3; do
    daemon "$host" unshare --uts sh -c 'echo "$0" > /proc/sys/kernel/hostname && exec "$@"' "host$host" \
        "$bin/shoald" --data-root "$work/$host/data" --exec-root "$work/$host/exec" --pidfile "$work/$host.pid" \
        -H "unix://$work/$host.sock" --config-file /dev/null --cgroup-parent "/$tag" \
        --insecure-registry "$registry" >"$work/$host.log" 2>&1
done
until inside registry curl -sf --noproxy '*' -o /dev/null "http://$registry/v2/"; do sleep 0.1; done
for host in 1 2 3; do
    until "$bin/shoal" -H "unix://$work/$host.sock" version >/dev/null 2>&1; do
        kill -0 "${pids[$host]}" || { cat "$work/$host.log" >&2; exit 1; }
        sleep 0.1
    done
done

say "an image of our own, in two versions"
cc -static -O2 -o "$work/web" deploy/demo/web.c
for version in 1 2; do inside registry bash deploy/demo/image.sh "$work/web" "$registry" web "$version"; done

on() { "$bin/shoal" -H "unix://$work/$1.sock" "${@:2}"; }
show() { printf '\033[2mhost%s# shoal %s\033[0m\n' "$1" "${*:2}"; on "$@"; }
shoal() { show 1 "$@"; }
ask() {
    for host in "$@"; do
        printf 'port 8080 of host %s: ' "$host"
        for _ in 1 2 3 4 5 6 7 8; do inside "$host" curl -s --noproxy '*' --max-time 2 "http://10.98.0.$host:8080/" || echo none; done |
            sort | uniq -c | awk '{ printf $2 == "none" ? "%s x no answer  " : "%s x %s v%s  ", $1, $2, $4 }'
        echo
    done
}

say "one command a host makes a swarm"
shoal swarm init --advertise-addr 10.98.0.1
token=$(on 1 swarm join-token -q manager)
for host in 2 3; do show "$host" swarm join --advertise-addr "10.98.0.$host" --token "$token" 10.98.0.1:2377; done
shoal node ls

say "a replicated service with a published port"
shoal service create --name web --replicas 3 --publish 8080:80 --env 'SLOT=demo' "$registry/web:1"
shoal service ps web
ask 1 2 3

say "scaled"
shoal service scale web=6
ask 1 2 3

say "updated, two at a time"
shoal service update --image "$registry/web:2" --update-parallelism 2 --update-delay 0s web
ask 1 2 3

say "host 3 is cut off"
ip -n "$tag-switch" link set port3 down
started=$(date +%s%N)
elsewhere() { on 1 service ps web --filter desired-state=running --format '{{.Node}} {{.CurrentState}}' 2>/dev/null | grep -v '^host3 ' | grep -c ' Running '; }
until [ "$(elsewhere)" -ge 6 ]; do
    [ $(($(date +%s%N) - started)) -lt 30000000000 ] || break
    sleep 0.1
done
echo "all replicas run elsewhere after $((($(date +%s%N) - started) / 1000000)) ms"
shoal node ls
shoal service ps web
ask 1 2

say "host 3 is back: its old tasks stop"
ip -n "$tag-switch" link set port3 up
until on 1 node ls 2>/dev/null | grep host3 | grep -q Ready && [ -z "$(on 3 ps -q)" ]; do
    [ $(($(date +%s%N) - started)) -lt 60000000000 ] || break
    sleep 0.1
done
shoal node ls
show 3 ps
ask 3
