#!/usr/bin/env bash
# Real network faults: engine and venues in two network namespaces, joined by a wire that loses, delays, doubles and
# reorders packets and goes down for seconds; whole trades are made over it, some engines are killed meanwhile, and the
# venue's own record is the judge. Usage: ./scripts/netem.sh [trades], 40 by default, about two minutes.
# The wire is Debian's `wirefilter` between two tap devices: it needs no `sch_netem` in the kernel.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/lib.sh
need_rust
trades=${1:-40}

[ "$(id -u)" -eq 0 ] || { echo 'SKIPPED netem: network namespaces need root'; exit 0; }
[ -c /dev/net/tun ] || { echo 'SKIPPED netem: no /dev/net/tun here'; exit 0; }
need_packages iproute2 vde2 vde-wirefilter
venue="svb-venue-$$" engine="svb-engine-$$" dir=$(mktemp -d)
if ! ip netns add "$venue" 2>"$dir/why"; then
    echo "SKIPPED netem: no network namespaces here: $(cat "$dir/why")"
    rm -rf "$dir"
    exit 0
fi
clean() {
    cat "$dir"/*.pid 2>/dev/null | xargs -r kill 2>/dev/null || true
    ip netns del "$venue" 2>/dev/null || true
    ip netns del "$engine" 2>/dev/null || true
    rm -rf "$dir"
}
trap clean EXIT
ip netns add "$engine"

# A chain of four states, looked at every 100 ms: fair (1 % lost, 20 ms), poor (5 % lost, doubled, 40 to 200 ms),
# a burst of loss, and down, which lasts 1.4 s in the mean.
cat >"$dir/wire" <<'RC'
markov-numnodes 4
markov-time 100
delay 20+15N[0]
loss 1[0]
delay 120+80U[1]
loss 5[1]
dup 2[1]
delay 60+30N[2]
loss 30[2]
loss 100[3]
setedge 0,1,4
setedge 0,2,1.5
setedge 0,3,0.6
setedge 1,0,8
setedge 1,3,1
setedge 2,0,20
setedge 3,0,7
RC
ip netns exec "$venue" vde_switch -s "$dir/left" -t wire -daemon -p "$dir/left.pid"
ip netns exec "$engine" vde_switch -s "$dir/right" -t wire -daemon -p "$dir/right.pid"
wirefilter -v "$dir/left:$dir/right" -N -f "$dir/wire" --daemon --pidfile "$dir/wire.pid"
# Another, clean wire: the test asks the engine's ops port over it.
ip link add ops netns "$venue" type veth peer name ops netns "$engine"
for side in "$venue 1" "$engine 2"; do
    read -r name number <<<"$side"
    ip -n "$name" link set lo up
    ip -n "$name" addr add "10.99.0.$number/24" dev wire
    ip -n "$name" addr add "10.98.0.$number/24" dev ops
    ip -n "$name" link set wire up
    ip -n "$name" link set ops up
done

cargo test --locked --test faults --no-run
say "$trades trades over a bad wire"
ip netns exec "$venue" env WIRE_VENUE=10.99.0.1 WIRE_OPS=10.98.0.2 WIRE_ENGINE="$engine" WIRE_TRADES="$trades" \
    cargo test --locked --offline --test faults over_a_bad_wire -- --ignored --nocapture
say 'what the wire carried, seen from the venue'
ip -n "$venue" -s link show wire
