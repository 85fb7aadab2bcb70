#!/usr/bin/env bash
# Builds the static binary of the Dockerfile: target/x86_64-unknown-linux-musl/release/sol_volume_bot.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/lib.sh
need_rust
target="$(uname -m)-unknown-linux-musl"
command -v musl-gcc >/dev/null || need_packages musl-tools
if command -v rustup >/dev/null; then
    rustup target list --installed | grep -qx "$target" || rustup target add "$target"
fi
cargo build --release --locked --target "$target"
binary="target/$target/release/sol_volume_bot"
if ldd "$binary" 2>&1 | grep -q '=>'; then
    die "$binary needs shared libraries: it would not start in an empty image"
fi
printf '%s\n' "$binary"
