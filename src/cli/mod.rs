//! The verbs, one file each.
//!
//! Thread: main.  Invariants: exit codes as in the contract: 0 done, 1 failed while running, 2 bad usage or config,
//! 3 credentials refused, 4 venue unreachable at start, 5 verification found a difference.

pub mod decode;
pub mod sim;
