//! Opens and seals TLS records in place.
//!
//! Thread: that of its stream.  Invariants: a sequence number is used once.
