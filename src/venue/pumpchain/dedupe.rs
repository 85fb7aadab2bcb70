//! Transactions seen before: after a reconnect, through a second endpoint.
//!
//! Thread: any.  Invariants: memory is taken once; what was seen is remembered for the horizon, and where the set is
//! too small for that it says since when it remembers, so that nothing older is believed.

use crate::types::Time;

/// Places looked at for one entry.
const PROBES_MAX: usize = 32;
/// Of eight places, at most so many are used before the older half is forgotten.
const LOAD_MAX_EIGHTHS: usize = 6;

/// A bounded set of 64-bit names, in two halves that take turns.
#[derive(Clone, Debug)]
pub struct Dedupe {
    halves: [Vec<u64>; 2],
    /// Entries of the newer half, which is `halves[0]`.
    used: usize,
    /// First entry of the newer half, of the older half.
    since: [Time; 2],
    horizon_ns: i64,
    seed: u64,
}

impl Dedupe {
    /// With room for `slots` names (rounded up to a power of two, 64 at least), each remembered for `horizon_ns` at
    /// least as long as the set is large enough.
    pub fn new(slots: usize, horizon_ns: i64, seed: u64) -> Dedupe {
        let half = (slots / 2).next_power_of_two().max(32);
        let halves = [vec![0; half], vec![0; half]];
        Dedupe { halves, used: 0, since: [Time::NONE; 2], horizon_ns, seed }
    }

    /// Whether a transaction is new to a subscription; from now on it is not.
    pub fn is_new(&mut self, signature: &[u8], subscription: u8, now: Time) -> bool {
        let name = name(signature, subscription, self.seed);
        let [newer, older] = &self.halves;
        if matches!(find(newer, name), Place::Taken) || matches!(find(older, name), Place::Taken) {
            return false;
        }
        let is_full = self.used >= newer.len() / 8 * LOAD_MAX_EIGHTHS || matches!(find(newer, name), Place::None);
        if is_full || (self.used > 0 && now.since(self.since[0]) >= self.horizon_ns) {
            self.turn();
        }
        if self.used == 0 {
            self.since[0] = now;
        }
        if let [newer, _] = &mut self.halves
            && let Place::Free(at) = find(newer, name)
            && let Some(place) = newer.get_mut(at)
        {
            *place = name;
            self.used += 1;
        }
        true
    }

    /// Since when everything seen is remembered; [`Time::NONE`] = from the first one.
    pub fn remembers_since(&self) -> Time {
        self.since[1]
    }

    /// Bytes held.
    pub fn bytes(&self) -> usize {
        self.halves.iter().map(|half| half.capacity() * size_of::<u64>()).sum()
    }

    /// Forgets the older half: the newer one takes its place.
    fn turn(&mut self) {
        self.halves.swap(0, 1);
        self.since[1] = self.since[0];
        self.used = 0;
        self.halves[0].fill(0);
    }
}

/// Where a name is, or could be.
enum Place {
    Taken,
    Free(usize),
    None,
}

fn find(half: &[u64], name: u64) -> Place {
    let mask = half.len() - 1;
    let from = name as usize; // the low bits choose
    for probe in 0..PROBES_MAX {
        let at = from.wrapping_add(probe) & mask;
        match half.get(at) {
            Some(0) => return Place::Free(at),
            Some(found) if *found == name => return Place::Taken,
            _ => {}
        }
    }
    Place::None
}

/// A 64-bit name of a signature within a subscription, never zero. The seed keeps others from finding two of one name.
fn name(signature: &[u8], subscription: u8, seed: u64) -> u64 {
    let mut state = fold(seed ^ 0x9e37_79b9_7f4a_7c15, 0xa076_1d64_78bd_642f) ^ u64::from(subscription);
    for chunk in signature.chunks(8) {
        let mut word = [0; 8];
        word.iter_mut().zip(chunk).for_each(|(place, byte)| *place = *byte);
        state = fold(state ^ u64::from_le_bytes(word), 0xe703_7ed1_a0b4_28db ^ seed.rotate_left(32))
            ^ state.rotate_left(23);
    }
    fold(state ^ signature.len() as u64, 0x8ebc_6af0_9c88_c6e3).max(1)
}

/// Both halves of a 128-bit product, folded into one.
fn fold(a: u64, b: u64) -> u64 {
    let product = u128::from(a) * u128::from(b);
    (product as u64) ^ (product >> 64) as u64
}

/// The same for other tables of this venue.
pub(super) fn hash(bytes: &[u8], seed: u64) -> u64 {
    name(bytes, 0xff, seed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn signature(number: u64) -> Vec<u8> {
        format!("5h6xBEauJ3PK6SWCZ1PGjBvj8vDdWG3KpwATGy1ARAXFSDwt8GFXM7W5Ncn16wmqokgpiKRLuS83KUxyZyv2s{number}").into()
    }

    #[test]
    fn a_transaction_is_new_once_to_each_subscription() {
        let mut seen = Dedupe::new(1 << 12, 1_000, 7);
        for number in 0..500 {
            assert!(seen.is_new(&signature(number), 0, Time(1)));
            assert!(seen.is_new(&signature(number), 1, Time(2)));
        }
        assert!((0..500).all(|number| !seen.is_new(&signature(number), 0, Time(3))));
        assert!((0..500).all(|number| !seen.is_new(&signature(number), 1, Time(3))));
        assert_eq!(seen.remembers_since(), Time::NONE);
    }

    #[test]
    fn everything_is_remembered_for_the_horizon_and_forgotten_after_two() {
        let mut seen = Dedupe::new(1 << 12, 1_000, 7);
        assert!(seen.is_new(&signature(0), 0, Time(5)));
        for at in 1..100 {
            seen.is_new(&signature(at), 0, Time(5 + at as i64 * 10));
            assert!(!seen.is_new(&signature(0), 0, Time(5 + at as i64 * 10)));
        }
        assert!(seen.is_new(&signature(200), 0, Time(1_100)), "the halves turn");
        assert!(!seen.is_new(&signature(0), 0, Time(1_101)));
        assert!(seen.is_new(&signature(201), 0, Time(2_200)), "and turn again");
        assert!(seen.is_new(&signature(0), 0, Time(2_201)));
        assert_eq!(seen.remembers_since(), Time(1_100));
    }

    #[test]
    fn a_set_that_is_too_small_says_since_when_it_remembers() {
        let mut seen = Dedupe::new(64, i64::MAX, 7);
        for number in 0..1_000_i64 {
            assert!(seen.is_new(&signature(number as u64), 0, Time(1 + number)));
            let since = seen.remembers_since().0.max(1);
            assert!(number + 1 - since < 64);
            for known in since - 1..=number {
                assert!(!seen.is_new(&signature(known as u64), 0, Time(1 + number)), "{known} of {number}");
            }
        }
    }

    #[test]
    fn names_differ_by_signature_subscription_and_seed() {
        let mut names: Vec<u64> = (0..20_000).map(|number| name(&signature(number), 0, 7)).collect();
        names.extend((0..20_000).map(|number| name(&signature(number), 1, 7)));
        names.extend((0..20_000).map(|number| name(&signature(number), 0, 8)));
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), 60_000);
    }
}
