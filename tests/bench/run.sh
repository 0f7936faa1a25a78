#!/usr/bin/env bash
# Measures Shoal beside Debian's docker.io in swarm mode, and its data path beside direct connections and HAProxy, in one
# run on this machine, and prints the tables of README.md. As root, on Debian 12 or Ubuntu with Rust.
# Usage: tests/bench/run.sh [--shoal-alone] [--short] [NAME...]
#   scale first-answer failover    beside docker.io
#   encryption                     an encrypted network beside a clear one
#   data-path                      or parts of it: throughput connections in-a-row resolver updates cut
set -euo pipefail
cd "$(dirname "$0")/../.."
missing=()
for pair in cc:gcc cc:libc6-dev docker-registry:docker-registry dockerd:docker.io ip:iproute2 curl:curl haproxy:haproxy; do
    command -v "${pair%%:*}" >/dev/null || [ -x "/usr/sbin/${pair%%:*}" ] || missing+=("${pair##*:}")
done
if [ ${#missing[@]} -gt 0 ]; then
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
fi
cargo build --release --locked --bin shoald --bin shoal --bin shoal-runtime
# What measures takes its hosts down when it fails, which needs unwinding; how fast it is itself does not matter.
CARGO_PROFILE_RELEASE_PANIC=unwind CARGO_PROFILE_RELEASE_LTO=off cargo build --release --locked --bin shoal-bench
exec target/release/shoal-bench "$@"
