//! What happened in a world, counted: a fault that never strikes or an end that never comes must not go unseen.
//!
//! Thread: any.

use std::collections::BTreeMap;

/// Counts by name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    counts: BTreeMap<&'static str, u64>,
}

impl Tally {
    /// One more of it.
    pub fn count(&mut self, name: &'static str) {
        self.add(name, 1);
    }
    /// So many more of it.
    pub fn add(&mut self, name: &'static str, more: u64) {
        if more > 0 {
            *self.counts.entry(name).or_insert(0) += more;
        }
    }
    /// The largest of its values so far.
    pub fn most(&mut self, name: &'static str, value: u64) {
        let most = self.counts.entry(name).or_insert(0);
        *most = value.max(*most);
    }
    /// How many there were.
    pub fn of(&self, name: &str) -> u64 {
        self.counts.get(name).copied().unwrap_or(0)
    }
    /// All of them, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, u64)> + '_ {
        self.counts.iter().map(|(name, count)| (*name, *count))
    }
    /// Adds another world's; names that end in `_max` keep the larger.
    pub fn merge(&mut self, other: &Tally) {
        for (name, count) in other.iter() {
            if name.ends_with("_max") { self.most(name, count) } else { self.add(name, count) }
        }
    }
}
