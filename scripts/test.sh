#!/usr/bin/env bash
# Everything that must hold: format, lints, tests, the official client, the static binary. Installs what it needs.
# SHARED_DIR names a folder of recorded data; without it the tests on recordings say that they were skipped.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/lib.sh
need_rust
command -v cc >/dev/null || need_packages gcc libc6-dev
command -v python3 >/dev/null && python3 -c 'import venv, ensurepip' 2>/dev/null || need_packages python3 python3-venv
command -v nats-server >/dev/null || [ -x /usr/sbin/nats-server ] || need_packages nats-server
export RUSTFLAGS="${RUSTFLAGS:-}"

say 'format'
cargo fmt --all --check
say 'lints'
cargo clippy --locked --all-targets -- -D warnings
say 'tests'
cargo test --locked --no-fail-fast # one run tells all that fails
say '2 000 trades in virtual time, in worlds where everything goes wrong'
SVB_SEEDS=2000 cargo test --locked --test world nothing_is_lost -- --nocapture
say 'the real binary, killed at more than 200 instants of a session'
command -v strace >/dev/null || need_packages strace
# In memory where there is room: a process's death proves nothing about the disk, and a slow one would be timed.
memory=$(df --output=avail -k /dev/shm 2>/dev/null | tail -n 1 || true)
TMPDIR=$([ "${memory:-0}" -gt 2000000 ] && echo /dev/shm || echo "${TMPDIR:-/tmp}") \
    cargo test --locked --test faults killed_ -- --ignored --nocapture
say 'the real binary behind a bad wire'
./scripts/netem.sh
say 'an official client of the venue against the built-in one'
./tests/official_client/run.sh
say 'the static binary'
binary=$(./scripts/build_static.sh | tail -n 1)
"$binary" --version
"$binary" decode --venue binance_spot </dev/null
say 'all of it passed'
