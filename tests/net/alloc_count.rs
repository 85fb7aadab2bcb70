//! Counts allocations of the thread that asks, and shows that a frame costs none.
//!
//! Thread: the count is per thread.  Invariants: the peers run on threads of their own, so they do not count.

use sol_volume_bot::sys::net::Target;

use crate::certs::Ca;
use crate::counting::allocations;
use crate::peer::{Harness, Served, echo_server};

const WARM_UP: usize = 200;
const COUNTED: usize = 2_000;
const ORDER: [u8; 180] = [b'o'; 180];

/// Sends an order, waits for its echo, again and again; gives the allocations of the counted round trips.
fn allocations_of_round_trips(served: &Served, ca: Option<&Ca>) -> u64 {
    let mut harness = Harness::new(&served.url, ca);
    harness.probe.keep_frames = false;
    harness.until("open", |harness| harness.link.current().is_some());
    let mut before = 0;
    for round in 1..=WARM_UP + COUNTED {
        harness.link.send_with(Target::Current, |buf| buf.extend_from_slice(&ORDER)).expect("open");
        while harness.probe.frames_seen < round {
            harness.turn();
        }
        if round == WARM_UP {
            before = allocations();
        }
    }
    allocations() - before
}

#[test]
fn frame_received_and_order_sent_allocate_nothing_over_plain_tcp() {
    assert_eq!(allocations_of_round_trips(&echo_server(None), None), 0);
}

#[test]
fn frame_received_and_order_sent_allocate_nothing_over_tls_1_3_and_1_2() {
    let ca = Ca::new();
    for version in [&rustls::version::TLS13, &rustls::version::TLS12] {
        let served = echo_server(Some(ca.server(&[version])));
        assert_eq!(allocations_of_round_trips(&served, Some(&ca)), 0, "{version:?}");
    }
}
