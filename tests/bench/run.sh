#!/usr/bin/env bash
# Measures Shoal beside Debian's docker.io in swarm mode, in one run on this machine, and prints the table of README.md.
# As root, on Debian 12 or Ubuntu with Rust. Usage: tests/bench/run.sh [--shoal-alone] [scale] [first-answer] [failover]
set -euo pipefail
cd "$(dirname "$0")/../.."
missing=()
for pair in cc:gcc cc:libc6-dev docker-registry:docker-registry dockerd:docker.io ip:iproute2 curl:curl; do
    command -v "${pair%%:*}" >/dev/null || [ -x "/usr/sbin/${pair%%:*}" ] || missing+=("${pair##*:}")
done
if [ ${#missing[@]} -gt 0 ]; then
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
fi
cargo build --release --locked --bin shoald --bin shoal --bin shoal-runtime --bin shoal-bench
exec target/release/shoal-bench "$@"
