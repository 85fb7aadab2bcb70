//! A Solana network of one node on loopback, offline, for the tests: `solana-testnode [SLOT_MS]`.
//!
//! Says where it listens in one line of JSON (`rpc`, `ws`, `payer`, `slot_ms`), then serves until SIGINT.

use std::process::ExitCode;

use surfpool_sdk::{BlockProductionMode, Surfnet};

/// Slot time where none is asked for.
const SLOT_MS: u64 = 400;
/// What the payer owns at the start.
const PAYER_LAMPORTS: u64 = 500 * 1_000_000_000;

/// The slot time asked for; `None` if it is none that a node could keep.
fn slot_ms(mut args: impl Iterator<Item = String>) -> Option<u64> {
    let Some(text) = args.next() else { return Some(SLOT_MS) };
    text.parse().ok().filter(|ms| (10..=10_000).contains(ms)).filter(|_| args.next().is_none())
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> ExitCode {
    let Some(slot_ms) = slot_ms(std::env::args().skip(1)) else {
        eprintln!("usage: solana-testnode [SLOT_MS], 10 to 10000");
        return ExitCode::from(2);
    };
    // By the clock: a node that makes a block per transaction has no slots to tell while nobody pays anybody.
    let network =
        Surfnet::builder().offline(true).slot_time_ms(slot_ms).block_production_mode(BlockProductionMode::Clock);
    let node = match network.airdrop_sol(PAYER_LAMPORTS).start().await {
        Ok(node) => node,
        Err(why) => {
            eprintln!("the node does not start: {why:?}");
            return ExitCode::FAILURE;
        }
    };
    let payer = node.payer().to_base58_string();
    println!(r#"{{"rpc":"{}","ws":"{}","payer":"{payer}","slot_ms":{slot_ms}}}"#, node.rpc_url(), node.ws_url());
    match tokio::signal::ctrl_c().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}
