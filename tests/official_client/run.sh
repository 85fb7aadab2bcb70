#!/usr/bin/env bash
# The venue's official Python client against the built-in venue: `sol_volume_bot sim` on a free loopback port.
# SIM_BINARY names a binary to use; else the debug one is built. Needs python3 with venv, and pip's registry once.
set -euo pipefail
cd "$(dirname "$0")/../.."
here=tests/official_client
venv=target/official_client/venv

binary="${SIM_BINARY:-}"
if [ -z "$binary" ]; then
    cargo build --locked --quiet
    binary="${CARGO_TARGET_DIR:-target}/debug/sol_volume_bot"
fi
if ! cmp -s "$here/requirements.txt" "$venv/installed.txt"; then
    python3 -m venv "$venv"
    "$venv/bin/pip" install --quiet --disable-pip-version-check -r "$here/requirements.txt"
    cp "$here/requirements.txt" "$venv/installed.txt"
fi

ready=$(mktemp)
"$binary" sim --listen 127.0.0.1:0 --scenario config/scenarios/steered.toml >"$ready" &
sim=$!
trap 'kill "$sim" 2>/dev/null || true; rm -f "$ready"' EXIT
for _ in $(seq 100); do
    [ -s "$ready" ] && break
    kill -0 "$sim" 2>/dev/null || { echo "sol_volume_bot sim ended before it was ready" >&2; exit 1; }
    sleep 0.1
done
timeout 120 "$venv/bin/python" "$here/client.py" "$(cat "$ready")"
kill -TERM "$sim"
wait "$sim" || { echo "sol_volume_bot sim did not end cleanly on SIGTERM" >&2; exit 1; }
