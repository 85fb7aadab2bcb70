//! What a bad wire, a bad disk or a bad peer makes of good bytes: a few edits each, pieces of one thing within another,
//! an end that never came, and now and then nothing but noise.

use proptest::collection::vec;
use proptest::option::weighted;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use std::ops::Range;

/// Numbers at the edges of the widths and units that decoders keep them in, and beyond.
const EDGES: [&str; 14] = [
    "0",
    "-0.0",
    "4294967296",
    "9223372036854775807",
    "-9223372036854775808",
    "18446744073709551615",
    "92233720368.54775807",
    "9223372036.854775807",
    "99999999999999999999",
    "1e-2147483648",
    "1e2147483647",
    "0.000000001",
    "NaN",
    "null",
];
/// Longest slice that is moved or told twice.
const SLICE_BYTES_MAX: usize = 64;
/// Longest run that is wiped: the widest number of a binary layout.
const WIPED_BYTES_MAX: usize = 8;
/// Most digits that one edit adds: more than any number of ours has.
const DIGITS_ADDED_MAX: usize = 20;
/// Longest noise.
const NOISE_BYTES_MAX: usize = 300;

/// What an edit does at its place.
#[derive(Clone, Copy, Debug)]
enum What {
    Change,
    Insert,
    Remove,
    /// Puts another digit into the number that comes next.
    Digit,
    /// Repeats that digit: to overflow what holds the number, and sums of such.
    Repeat,
    /// Puts one of [`EDGES`] in that number's place.
    Edge,
    /// All bits of a few bytes off, or on.
    Wipe,
    /// Tells a slice twice.
    Double,
    /// Takes a slice elsewhere.
    Move,
}
const WHATS: [What; 9] = {
    use What::*;
    [Change, Insert, Remove, Digit, Repeat, Edge, Wipe, Double, Move]
};

/// One edit; `byte` is what it puts there, or how much it takes.
#[derive(Clone, Copy, Debug)]
struct Edit {
    what: What,
    at: Index,
    to: Index,
    byte: u8,
}

impl Edit {
    fn apply(self, bytes: &mut Vec<u8>) {
        if bytes.is_empty() {
            return;
        }
        let (at, byte, count) = (self.at.index(bytes.len()), self.byte, usize::from(self.byte));
        let end = bytes.len();
        let up_to = |most: usize| at..end.min(at + 1 + count % most);
        match self.what {
            What::Change => bytes[at] = byte,
            What::Insert => bytes.insert(at, byte),
            What::Remove => drop(bytes.remove(at)),
            What::Wipe => bytes[up_to(WIPED_BYTES_MAX)].fill(if byte < 128 { 0 } else { u8::MAX }),
            What::Double => {
                let slice = bytes[up_to(SLICE_BYTES_MAX)].to_vec();
                bytes.splice(at..at, slice);
            }
            What::Move => {
                let slice: Vec<u8> = bytes.drain(up_to(SLICE_BYTES_MAX)).collect();
                let to = self.to.index(bytes.len() + 1);
                bytes.splice(to..to, slice);
            }
            What::Digit | What::Repeat | What::Edge => self.apply_to_number(at, bytes),
        }
    }

    fn apply_to_number(self, at: usize, bytes: &mut Vec<u8>) {
        let Some(digit) = (at..bytes.len()).find(|at| bytes[*at].is_ascii_digit()) else { return };
        let count = usize::from(self.byte);
        match self.what {
            What::Digit => bytes[digit] = b'0' + self.byte % 10,
            What::Repeat => {
                let again = std::iter::repeat_n(bytes[digit], 1 + count % DIGITS_ADDED_MAX);
                bytes.splice(digit..digit, again);
            }
            _ => {
                let number = number_around(digit, bytes);
                bytes.splice(number, EDGES[count % EDGES.len()].bytes());
            }
        }
    }
}

/// The number that a digit belongs to.
fn number_around(digit: usize, bytes: &[u8]) -> Range<usize> {
    let is_part = |byte: &u8| byte.is_ascii_digit() || matches!(byte, b'.' | b'-');
    let before = bytes[..digit].iter().rev().take_while(|byte| is_part(byte)).count();
    let after = bytes[digit..].iter().take_while(|byte| is_part(byte)).count();
    digit - before..digit + after
}

/// How good bytes become bad ones.
#[derive(Clone, Debug)]
pub struct Recipe {
    seed: Index,
    /// Another seed whose tail, from there on, stands behind the head of this one up to there.
    graft: Option<(Index, Index, Index)>,
    /// In place of any seed.
    noise: Option<Vec<u8>>,
    edits: Vec<Edit>,
    /// Where the end is missing.
    cut: Option<Index>,
}

impl Recipe {
    /// The bytes, made of `seeds`.
    pub fn bytes(&self, seeds: &[Vec<u8>]) -> Vec<u8> {
        let mut bytes = self.noise.clone().unwrap_or_else(|| self.seed.get(seeds).clone());
        if let Some((other, head, tail)) = &self.graft {
            let other = other.get(seeds);
            bytes.truncate(head.index(bytes.len() + 1));
            bytes.extend_from_slice(&other[tail.index(other.len() + 1)..]);
        }
        self.edits.iter().for_each(|edit| edit.apply(&mut bytes));
        if let Some(cut) = &self.cut {
            bytes.truncate(cut.index(bytes.len() + 1));
        }
        bytes
    }
}

/// Recipes of every kind; the simplest is one changed byte.
pub fn recipes() -> impl Strategy<Value = Recipe> {
    let edit = (select(&WHATS[..]), any::<Index>(), any::<Index>(), any::<u8>());
    let edit = edit.prop_map(|(what, at, to, byte)| Edit { what, at, to, byte });
    let graft = weighted(0.1, any::<(Index, Index, Index)>());
    let noise = weighted(0.02, vec(any::<u8>(), 0..NOISE_BYTES_MAX));
    let cut = weighted(0.1, any::<Index>());
    (any::<Index>(), graft, noise, vec(edit, 1..12), cut).prop_map(|(seed, graft, noise, edits, cut)| Recipe {
        seed,
        graft,
        noise,
        edits,
        cut,
    })
}
