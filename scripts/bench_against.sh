#!/usr/bin/env bash
# Has the hot path become slower? Builds the benches of another revision beside ours, runs the two in turns on this
# machine, and prints step, tick-to-trade and wire of both with their ratio: the median of ROUNDS runs (default 3).
# Usage: scripts/bench_against.sh REVISION     e.g. scripts/bench_against.sh HEAD~20
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/lib.sh
need_rust
revision=${1:?usage: scripts/bench_against.sh REVISION}
rounds=${ROUNDS:-3}
commit=$(git rev-parse --verify --quiet "$revision^{commit}") || die "no such revision: $revision"
out=target/bench/against
tree=$out/tree
mkdir -p "$out"

remove_tree() { git worktree remove --force "$tree" 2>/dev/null || true; }
trap remove_tree EXIT
remove_tree
git worktree add --quiet --detach "$tree" "$commit"

say "build of ours and of ${commit:0:10}"
cargo bench --quiet --locked --no-run --bench steps --bench wire
(cd "$tree" && CARGO_TARGET_DIR=../target cargo bench --quiet --locked --no-run --bench steps --bench wire)

say "$rounds rounds in turns; load before: $(cut -d ' ' -f 1-3 /proc/loadavg)"
rm -f "$out"/*.txt
for round in $(seq "$rounds"); do
    for bench in steps wire; do
        (cd "$tree" && CARGO_TARGET_DIR=../target cargo bench --quiet --locked --bench "$bench" -- quick 2>/dev/null) \
            >"$out/base.$bench.$round.txt"
        cargo bench --quiet --locked --bench "$bench" -- quick 2>/dev/null >"$out/ours.$bench.$round.txt"
    done
done

say 'median of p50 and p99, µs: the other revision, ours, ratio'
# A wire case begins with a line that ends in `wire` and its figures; `tick_to_trade` lines below belong to it.
awk '
function note(label, p50, p99) {
    if (!(label in seen)) { seen[label] = 1; order[++labels] = label }
    runs[label, side]++
    value[label, side, "p50", runs[label, side]] = p50
    value[label, side, "p99", runs[label, side]] = p99
}
function median(label, side, which,    n, i, j, t, list) {
    n = runs[label, side]
    if (n == 0) return -1
    for (i = 1; i <= n; i++) list[i] = value[label, side, which, i] + 0
    for (i = 2; i <= n; i++) for (j = i; j > 1 && list[j] < list[j - 1]; j--) { t = list[j]; list[j] = list[j - 1]; list[j - 1] = t }
    return list[int((n + 1) / 2)]
}
FNR == 1 { side = FILENAME ~ /\/base\.[^\/]*$/ ? "base" : "ours"; name = "" }
/^PASS |^SHORT / && /step / { next }
/^(slot|tick) -> / { p50 = $(NF - 3); p99 = $(NF - 2); label = $0; sub(/ +[0-9.]+ +[0-9.]+ +[0-9.]+ +[0-9.]+$/, "", label); note("step: " label, p50, p99); next }
{ for (i = 2; i < NF; i++) if ($i == "wire") { name = $1; for (j = 2; j < i; j++) name = name " " $j; note(name ": wire", $(i + 1), $(i + 2)) } }
$1 == "tick_to_trade" { note(name ": tick to trade", $2, $3) }
END {
    printf "%-44s %24s   %24s\n", "", "p50", "p99"
    for (i = 1; i <= labels; i++) {
        label = order[i]
        b50 = median(label, "base", "p50"); o50 = median(label, "ours", "p50")
        b99 = median(label, "base", "p99"); o99 = median(label, "ours", "p99")
        if (b50 <= 0 || o50 <= 0) continue
        printf "%-44s %8.2f %8.2f  %5.2f   %8.2f %8.2f  %5.2f\n", label, b50, o50, o50 / b50, b99, o99, (b99 ? o99 / b99 : 0)
    }
}' "$out"/*.txt | tee "$out/table.txt"
