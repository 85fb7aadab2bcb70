#!/usr/bin/env bash
# Fresh machine → build → the whole engine against built-in venues. No keys, no network. Ctrl-C stops it cleanly.
# Options go to the `demo` verb: scripts/demo.sh --for 90s --seed 7
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/lib.sh
need_rust
command -v cc >/dev/null || need_packages gcc libc6-dev
[ -x target/release/sol_volume_bot ] || say 'building; the first time takes some minutes' >&2
cargo build --release --locked --quiet
# On a terminal the JSON lines would drown the story on stderr.
if [ -t 1 ]; then
    say 'the JSON lines of stdout go to target/demo.jsonl' >&2
    exec ./target/release/sol_volume_bot demo "$@" >target/demo.jsonl
fi
exec ./target/release/sol_volume_bot demo "$@"
