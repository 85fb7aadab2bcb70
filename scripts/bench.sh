#!/usr/bin/env bash
# Every figure of the speed and memory targets: one table, PASS or SHORT, and JSON in target/bench/. A figure that falls
# short is printed as such and fails nothing: timing is no test. `scripts/bench.sh quick` takes two minutes, the whole thirteen.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/lib.sh
need_rust
command -v cc >/dev/null || need_packages gcc libc6-dev
[ "$(uname -s)" = Linux ] || die 'the benches pin cores and read procfs: they need Linux'

say 'build'
cargo build --release --locked --manifest-path bench/tokio_peer/Cargo.toml
cargo bench --locked --no-run --bench steps --bench ingest --bench replay --bench wire --bench load --bench kill
mkdir -p target/bench
report=target/bench/report.txt
{
    say "machine: $(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -n 1), $(nproc) cores, $(uname -sr)"
    say "load before: $(cut -d ' ' -f 1-3 /proc/loadavg) (above 0.5 the tails below are the neighbours')"
    for bench in steps ingest replay wire load kill; do
        say "$bench"
        cargo bench --locked --bench "$bench" -- "$@" 2>/dev/null || echo "$bench ended with an error: its figures are missing"
    done
} | tee "$report"

say 'targets'
grep -E '^(PASS|SHORT) ' "$report" | sort -r || true
say 'where the time goes'
cat <<'TEXT'
wire   = venue's write -> venue's read. Besides the stages it holds the kernel's way of both messages (as the floor does)
         and half a turn of the engine's loop: it looks at three sockets, the floor at one.
decode = frame walk and scan; ring = hop to hot, hop to gateway; step = the engine; encode = text of the order;
write  = the kernel's send, which on loopback delivers to the other side before it returns.
TEXT
say "JSON: $(ls target/bench/*.json | tr '\n' ' ')"
