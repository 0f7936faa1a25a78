#!/usr/bin/env bash
# Installs what the tests need, then runs them all: format, lints, units, golden scripts, simulation, clusters of real
# daemons. As root, on a fresh Debian 12 or Ubuntu host with Rust; at most 30 minutes on two cores.
set -euo pipefail
cd "$(dirname "$0")/.."

missing=()
for pair in cc:gcc cc:libc6-dev docker-registry:docker-registry docker:docker.io ip:iproute2 nft:nftables curl:curl; do
    PATH=$PATH:/usr/sbin:/sbin command -v "${pair%%:*}" >/dev/null || missing+=("${pair##*:}")
done
# Containers hold nothing else, so it must be the static one.
dpkg-query -s busybox-static >/dev/null 2>&1 || missing+=(busybox-static)
if [ ${#missing[@]} -gt 0 ]; then
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
fi

# Snapshots are compared, never written.
export INSTA_UPDATE=no
step() { printf '\n== %s (after %d s)\n' "$*" "$SECONDS"; }

step format
cargo fmt --all --check
step lints
cargo clippy --workspace --all-targets --locked -- -D warnings
step build
cargo build --workspace --locked
step tests
# One failure must not hide another.
cargo test --workspace --locked --no-fail-fast
step done
