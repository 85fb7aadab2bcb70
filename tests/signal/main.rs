//! The signal against other people's numbers: RSI against TA-Lib on real candles, the volume rules on real days, every
//! rule's edge, and sources that lie.

mod fused;
mod poison;
mod rsi;
mod rules;
mod sampled;
mod volume;

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use flate2::read::GzDecoder;

/// One USD as a price or an amount.
const USD: i64 = 100_000_000;

/// A file of the shared captures; says so plainly where the folder is absent.
fn capture(name: &str) -> Option<PathBuf> {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared");
    let shared = std::env::var_os("SHARED_DIR").map_or(beside, PathBuf::from);
    let file = shared.join("captures").join(name);
    if !file.exists() {
        println!("SKIPPED: no shared folder with captures/{name} (set SHARED_DIR)");
        return None;
    }
    Some(file)
}

fn unzipped(file: &Path) -> Vec<u8> {
    let mut bytes = Vec::new();
    GzDecoder::new(File::open(file).unwrap()).read_to_end(&mut bytes).unwrap();
    bytes
}
