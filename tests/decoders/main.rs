//! Every decoder of the house against input that is not what it should be. Whatever the bytes, it does not panic, and an
//! error that names a byte names one that is there, or the end. A long run: `./scripts/soak.sh --decoders`.
//!
//! Each decoder starts from bytes that it reads, so that edits have something to break.

use proptest::test_runner::{Config, TestCaseError, TestError, TestRunner};
use sol_volume_bot::sys::clock::Clock;
use std::cell::{Cell, RefCell};

mod binance;
mod bus;
mod chain;
mod dex;
mod edits;
mod files;
mod kraken;
mod texts;
mod volume;
mod wire;

// The hands of the venues' own tests, which use the rest of them.
#[allow(dead_code)] // see above
#[path = "../pumpchain"]
mod pumpchain_hands {
    pub mod desk;
    pub mod frames;
}
#[allow(dead_code)] // see above
#[path = "../dex"]
mod dex_hands {
    pub mod desk;
    pub mod frames;
}
#[allow(dead_code)] // see above
#[path = "../journal/desk.rs"]
mod journal_desk;
#[allow(dead_code)] // see above
#[path = "../kraken"]
mod kraken_hands {
    pub mod desk;
    pub mod frames;
}
#[path = "../market_data/frames.rs"]
mod market_frames;
#[allow(dead_code)] // see above
#[path = "../recording/desk.rs"]
mod recording_desk;
#[allow(dead_code)] // see above
#[path = "../solana"]
mod solana_hands {
    pub mod desk;
    pub mod frames;
}
#[allow(dead_code)] // see above
#[path = "../trade_codec"]
mod trade_hands {
    pub mod desk;
    pub mod frames;
}

/// Fewest cases of a property; `PROPTEST_CASES` raises it.
const CASES_MIN: u32 = 1_000;

/// What the errors about one input said.
#[derive(Debug, Default)]
pub struct Errors {
    /// The farthest byte that one of them named.
    farthest: usize,
}

impl Errors {
    /// Takes a result apart; `at` says which byte an error names, if any.
    pub fn note<T, E>(&mut self, said: Result<T, E>, at: impl FnOnce(&E) -> Option<usize>) -> Option<T> {
        if let Err(error) = &said {
            self.name(at(error).unwrap_or(0));
        }
        said.ok()
    }
    /// A byte was named.
    pub fn name(&mut self, byte: usize) {
        self.farthest = self.farthest.max(byte);
    }
    /// Whether every byte that was named is one of `len`, or the end of them.
    pub fn are_within(&self, len: usize) -> bool {
        self.farthest <= len
    }
}

/// Hands bytes to a decoder in every way the program does. Output: whether it read them.
pub trait Decode: FnMut(&[u8], &mut Errors) -> bool {}
impl<F: FnMut(&[u8], &mut Errors) -> bool> Decode for F {}

/// Whether `bytes` were read, or what no bytes may lead to.
fn judge(bytes: &[u8], decode: &mut impl Decode) -> Result<bool, String> {
    let mut errors = Errors::default();
    let is_read = decode(bytes, &mut errors);
    if errors.are_within(bytes.len()) {
        return Ok(is_read);
    }
    Err(format!("an error names byte {}", errors.farthest))
}

fn shown(bytes: &[u8]) -> String {
    format!("{} bytes: b\"{}\"", bytes.len(), bytes.escape_ascii())
}

/// Every seed is read, and every cut of it survived: without the first, edits might have nothing to break.
pub fn reads_its_seeds(seeds: &[Vec<u8>], mut decode: impl Decode) {
    assert!(!seeds.is_empty(), "nothing to start from");
    for seed in seeds {
        assert_eq!(judge(seed, &mut decode), Ok(true), "{}", shown(seed));
        for end in 0..seed.len() {
            judge(&seed[..end], &mut decode).unwrap_or_else(|why| panic!("{why}, of {}", shown(&seed[..end])));
        }
    }
}

/// No edits of the seeds lead to a panic, or to a byte that is not there.
pub fn survives_edits(name: &str, seeds: &[Vec<u8>], decode: impl Decode) {
    let cases = Config::default().cases.max(CASES_MIN);
    let mut runner = TestRunner::new(Config { cases, failure_persistence: None, ..Config::default() });
    let (decode, read, clock) = (RefCell::new(decode), Cell::new(0_u32), Clock::start());
    let begun = clock.now();
    let judged = runner.run(&edits::recipes(), |recipe| {
        let is_read = judge(&recipe.bytes(seeds), &mut *decode.borrow_mut()).map_err(TestCaseError::fail)?;
        read.set(read.get() + u32::from(is_read));
        Ok(())
    });
    match judged {
        Ok(()) => {
            let (count, took_ms) = (seeds.len(), clock.now().since(begun) / 1_000_000);
            println!("{name}: {count} seeds, {cases} cases, {} of them still read, {took_ms} ms", read.get());
        }
        Err(TestError::Fail(why, recipe)) => panic!("{why}, of {}", shown(&recipe.bytes(seeds))),
        Err(why) => panic!("{why}"),
    }
}

/// The two tests of one decoder.
macro_rules! decoder {
    ($name:ident, $seeds:expr, $decode:expr) => {
        mod $name {
            use super::*;
            #[test]
            fn reads_its_seeds_and_survives_every_cut_of_them() {
                crate::reads_its_seeds(&$seeds, $decode);
            }
            #[test]
            fn survives_edits() {
                crate::survives_edits(module_path!(), &$seeds, $decode);
            }
        }
    };
}
pub(crate) use decoder;

/// Texts as bytes.
pub fn texts<T: AsRef<[u8]>>(texts: impl IntoIterator<Item = T>) -> Vec<Vec<u8>> {
    texts.into_iter().map(|text| text.as_ref().to_vec()).collect()
}
