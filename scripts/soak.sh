#!/usr/bin/env bash
# Memory over a long time. `./scripts/soak.sh --real [minutes]` (20 by default): the release binary over loopback at
# 5 000 market messages a second, exits moved every second; prints its memory every 10 s and fails if it grows by more
# than 1 MB after the first quarter.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/lib.sh
need_rust

case "${1:-}" in
--real)
    say "${2:-20} minutes of the real binary"
    SOAK_MINUTES=${2:-20} cargo test --locked --release --test faults memory_stays_flat -- --ignored --nocapture
    ;;
*) die 'usage: ./scripts/soak.sh --real [minutes]' ;;
esac
