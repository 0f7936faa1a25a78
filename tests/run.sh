#!/usr/bin/env bash
# Installs what the tests need, then runs them all: format, lints, unit, golden and cluster tests, simulation.
# As root, on a fresh Debian 12 or Ubuntu host with Rust; at most 30 minutes on two cores.
set -euo pipefail
cd "$(dirname "$0")/.."

need() { command -v "$1" >/dev/null 2>&1; }
missing=()
need cc || missing+=(gcc libc6-dev)
need docker-registry || missing+=(docker-registry)
need docker || missing+=(docker.io)
if [ ${#missing[@]} -gt 0 ]; then
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}"
fi

cargo fmt --all --check
cargo clippy --workspace --all-targets --locked -- -D warnings
cargo build --workspace --locked
cargo test --workspace --locked
