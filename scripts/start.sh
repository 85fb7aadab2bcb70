#!/usr/bin/env bash
# The colocated host: looks at the host's tuning, says what is not as tuning.md wants it, then runs the engine and looks
# after it. Options go to the `run` verb: scripts/start.sh --config config/config.toml --mode live
#
# An engine that crashes is started again: at most 5 times in 10 minutes, after 1, 2, 4, 8, 16 s (RESTART_PAUSE_S sets
# the first pause). One that ends with 0 (done), 2 (bad config) or 3 (key refused) is not. TERM, INT, HUP and USR1 go to
# the engine. Where [guard] names a key, the guard runs beside a live engine, is itself started again, and outlives an
# engine that is given up. `--once` as the first option becomes the engine instead, for a supervisor of your own.
set -euo pipefail
once=no
if [ "${1:-}" = --once ]; then
    once=yes
    shift
fi
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
[ "$once" = no ] || exec "$binary" run "$@"

RESTARTS_MAX=5
WINDOW_S=600
PAUSE_S_MAX=60
pause_s=${RESTART_PAUSE_S:-1}

# Each child gets a process group of its own: Ctrl-C reaches this script alone, which passes it on once.
set -m
child='' stopping=no
exec 9<> <(:) # nothing ever comes here: a place to wait in

pass_on() {
    case "$1" in TERM | INT) stopping=yes ;; esac
    [ -z "$child" ] || kill -s "$1" "$child" 2>/dev/null || true
}
for name in TERM INT HUP USR1; do
    # shellcheck disable=SC2064 # the name is wanted now
    trap "pass_on $name" "$name"
done

# Up to a quarter of a second; a signal is heard at once. `wait` would not do: one that a signal interrupts just when the
# child ends can lose the end, and then waits for ever.
tick() { read -r -t 0.25 -u 9 || true; }

# Waits for the end of $child, through signals; its exit code is in $code.
await() {
    while kill -0 "$child" 2>/dev/null; do tick; done
    code=0
    wait "$child" || code=$?
    child=''
}

# Sleeps $1 s, or until it is time to stop.
nap() {
    local left
    for ((left = $1 * 4; left > 0; left--)); do
        [ "$stopping" = no ] || return 0
        tick
    done
}

is_final() { case "$1" in 0 | 2 | 3) true ;; *) false ;; esac }

# The guard, again and again, until it ends as planned.
keep_guard() {
    trap 'pass_on TERM' TERM
    trap '' INT HUP USR1
    local pause=$pause_s
    while :; do
        "$binary" guard --if-configured "$@" </dev/null 9<&- &
        child=$!
        [ "$stopping" = no ] || kill "$child" 2>/dev/null || true
        await
        if [ "$stopping" = yes ] || is_final "$code"; then exit "$code"; fi
        printf 'the guard ended with %s; starting it again in %s s\n' "$code" "$pause" >&2
        nap "$pause"
        [ "$stopping" = no ] || exit "$code"
        pause=$((pause * 2 < PAUSE_S_MAX ? pause * 2 : PAUSE_S_MAX))
    done
}
keep_guard "$@" &
keeper=$!

crashes=() crashed=no
while :; do
    "$binary" run "$@" </dev/null 9<&- &
    child=$!
    [ "$stopping" = no ] || kill "$child" 2>/dev/null || true
    await
    if [ "$stopping" = yes ] || is_final "$code"; then break; fi
    crashed=yes
    now=$SECONDS recent=()
    for at in "${crashes[@]}"; do [ $((now - at)) -ge "$WINDOW_S" ] || recent+=("$at"); done
    crashes=("${recent[@]}")
    if [ "${#crashes[@]}" -ge "$RESTARTS_MAX" ]; then
        printf 'the engine ended with %s, after %s restarts in %s s: given up\n' "$code" "$RESTARTS_MAX" "$WINDOW_S" >&2
        break
    fi
    pause=$((pause_s << ${#crashes[@]}))
    crashes+=("$now")
    printf 'the engine ended with %s; starting it again in %s s\n' "$code" "$pause" >&2
    nap "$pause"
    [ "$stopping" = no ] || break
done

engine_code=$code
# Coins of an engine that crashed and did not come back need the guard, if there is one.
if [ "$stopping" = no ] && [ "$engine_code" -ne 0 ] && [ "$crashed" = yes ] && kill -0 "$keeper" 2>/dev/null; then
    printf 'the guard stays beside the engine that does not run; TERM ends it\n' >&2
    child=$keeper
    await
fi
kill "$keeper" 2>/dev/null || true
child=$keeper
await
exit "$engine_code"
