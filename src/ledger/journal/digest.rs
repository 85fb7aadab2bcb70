//! SHA-256 of a file that grows.
//!
//! Thread: any.  Invariants: `value` is of exactly the bytes given so far.

use ring::digest::{Context, SHA256};

/// A hash under way.
#[derive(Clone)]
pub struct Digest(Context);

impl Digest {
    /// Of nothing yet.
    pub fn new() -> Digest {
        Digest(Context::new(&SHA256))
    }
    /// Goes on over `bytes`.
    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }
    /// What it comes to so far.
    pub fn value(&self) -> [u8; 32] {
        let mut out = [0; 32];
        out.copy_from_slice(self.0.clone().finish().as_ref());
        out
    }
}

impl std::fmt::Debug for Digest {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("Digest")
    }
}
