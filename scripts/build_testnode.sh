#!/usr/bin/env bash
# Builds a real Solana node for `cargo test --test solana_node` from the package registry: about 15 minutes on 2 cores,
# 2 GB of disk. Prints the command to export as SOLANA_TESTNODE. Nothing of the engine's own build is touched.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/lib.sh
need_rust
command -v rustup >/dev/null || die "rustup is missing: the node needs another toolchain than the engine (https://rustup.rs)"
need_packages clang cmake protobuf-compiler libudev-dev libssl-dev pkg-config libclang-dev zlib1g-dev
package=tests/solana_node/testnode
toolchain="$(sed -n 's/^channel = "\(.*\)"$/\1/p' "$package/rust-toolchain.toml")"
target="${TESTNODE_TARGET_DIR:-$PWD/target/testnode}"
rustup toolchain list | grep -q "^$toolchain" || rustup toolchain install "$toolchain" --profile minimal
mkdir -p "$target"
# Its lock file is made once and kept beside what is built from it: the engine's own is not concerned.
[ -f "$target/Cargo.lock" ] && cp "$target/Cargo.lock" "$package/Cargo.lock"
say "building the node with rustc $toolchain; this takes a while"
cargo "+$toolchain" build --release --manifest-path "$package/Cargo.toml" --target-dir "$target"
mv "$package/Cargo.lock" "$target/Cargo.lock"
printf 'export SOLANA_TESTNODE="%s 100"\n' "$target/release/solana-testnode"
