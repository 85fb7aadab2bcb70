#!/usr/bin/env bash
# The colocated host: looks at the host's tuning, says what is not as tuning.md wants it, then becomes the engine.
# Options go to the `run` verb: scripts/start.sh --config config/config.toml --mode live
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/lib.sh
binary=target/release/sol_volume_bot
[ -x "$binary" ] || { need_rust; cargo build --release --locked; }

advise() { printf 'tuning: %s (tuning.md: "%s")\n' "$1" "$2" >&2; }
read_or() { cat "$1" 2>/dev/null || printf '%s' "$2"; }

[ -n "$(read_or /sys/devices/system/cpu/isolated '')" ] || advise 'no core is isolated from the scheduler' 'Isolated cores'
governor=$(read_or /sys/devices/system/cpu/cpu0/cpufreq/scaling_governor unknown)
case "$governor" in
    performance | unknown) ;;
    *) advise "the frequency governor is $governor, not performance" 'Governor' ;;
esac
if [ -d /sys/devices/system/cpu/cpu0/cpuidle ]; then
    deep=$(cat /sys/devices/system/cpu/cpu0/cpuidle/state[2-9]/disable 2>/dev/null | grep -c '^0' || true)
    [ "$deep" -eq 0 ] || advise "$deep deep sleep states of a core are allowed" 'C-states'
fi
pgrep -x irqbalance >/dev/null 2>&1 && advise 'irqbalance moves interrupts onto any core' 'Interrupts'
[ "$(ulimit -n)" -ge 1024 ] || advise "only $(ulimit -n) files may be open" 'Limits'
exec "$binary" run "$@"
