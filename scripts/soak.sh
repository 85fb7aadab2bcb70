#!/usr/bin/env bash
# Long runs. `./scripts/soak.sh 5000`: so many worlds in virtual time, one seed each, whole trades in which everything
# goes wrong; a failing seed prints the command that repeats it. `./scripts/soak.sh --day [seed]`: 24 hours in one such
# world, its memory every virtual hour, which must stay flat. `./scripts/soak.sh --real [minutes]` (20 by default): the release binary over loopback at
# 5 000 market messages a second, exits moved every second; prints its memory every 10 s and fails if it grows by more
# than 1 MB after the first quarter. `./scripts/soak.sh --decoders [cases]` (1 000 000 by default): so many edited inputs
# at every decoder, in an optimised build that still checks overflow; a failure prints the input.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/lib.sh
need_rust

case "${1:-}" in
--real)
    say "${2:-20} minutes of the real binary"
    SOAK_MINUTES=${2:-20} cargo test --locked --release --test faults memory_stays_flat -- --ignored --nocapture
    ;;
--decoders)
    say "${2:-1000000} edited inputs at every decoder"
    PROPTEST_CASES=${2:-1000000} cargo test --locked --profile soak --test decoders -- --nocapture
    ;;
--day)
    say '24 hours in one virtual world'
    SVB_SEED=${2:-1} cargo test --locked --release --test world virtual_day -- --ignored --nocapture
    ;;
[1-9]*)
    say "$1 virtual worlds"
    SVB_SEEDS=$1 cargo test --locked --release --test world nothing_is_lost -- --nocapture
    ;;
*) die 'usage: ./scripts/soak.sh <number of worlds> | --day [seed] | --real [minutes] | --decoders [cases]' ;;
esac
